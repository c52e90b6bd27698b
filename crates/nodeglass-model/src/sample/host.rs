//! What there is once on a host: processors, memory, pressure, protocols, the clock.

use serde::Serialize;

use super::{CoreMetrics, ProcessEntry, TaskProcessMetrics};

section! {
    /// Processor time since the previous sample, in percent of the time of all cores.
    CpuMetrics
    keys {
        /// The cores that are online. JSON has the usage of each as `core_usage` besides.
        #[serde(flatten, serialize_with = "super::cores_and_usage")]
        #[cfg_attr(feature = "schema", schema(value_type = super::Cores))]
        cores: Vec<CoreMetrics>,
    }
    figures {
        /// All modes but idle and iowait.
        usage_percent: f64,
        /// User space, nice included.
        user_percent: f64,
        /// The kernel.
        system_percent: f64,
        /// Nothing to do.
        idle_percent: f64,
        /// Idle with disk I/O outstanding.
        iowait_percent: f64,
        /// User space at low priority; part of `user_percent`.
        nice_percent: f64,
        /// Hardware interrupts.
        irq_percent: f64,
        /// Soft interrupts.
        softirq_percent: f64,
        /// Time that the hypervisor gave to others.
        steal_percent: f64,
        /// The hottest sensor of the processor package.
        temperature_celsius: f64,
        /// Switches from one task to another.
        context_switches_per_sec: u64,
        /// Interrupts served.
        interrupts_per_sec: u64,
        /// Processes and threads made.
        forks_per_sec: f64,
        /// What the control group that the agent lives in allows; absent where nothing limits it.
        limit_cores: f64,
    }
}

section! {
    /// Memory and swap, in bytes.
    MemoryMetrics
    figures {
        /// Memory that the kernel manages.
        total_bytes: u64,
        /// Total less available.
        used_bytes: u64,
        /// What programs could still get without swapping.
        available_bytes: u64,
        /// Memory that nobody uses, not even as cache.
        free_bytes: u64,
        /// Page cache, with reclaimable slab.
        cached_bytes: u64,
        /// Buffers of block devices.
        buffers_bytes: u64,
        /// Used of total.
        usage_percent: f64,
        /// Swap space.
        swap_total_bytes: u64,
        /// Swap in use.
        swap_used_bytes: u64,
        /// Swap not in use.
        swap_free_bytes: u64,
        /// Swap used of swap total; absent without swap.
        swap_usage_percent: f64,
        /// Shared memory and tmpfs.
        shared_bytes: u64,
        /// Kernel data structures.
        slab_bytes: u64,
        /// Kernel data structures that can not be given back.
        slab_unreclaimable_bytes: u64,
        /// Written by programs, not yet to disk.
        dirty_bytes: u64,
        /// On its way to disk.
        writeback_bytes: u64,
        /// Page tables.
        page_tables_bytes: u64,
        /// Kernel stacks of all tasks.
        kernel_stack_bytes: u64,
        /// What programs were promised.
        committed_bytes: u64,
        /// What programs may be promised where overcommit is off.
        commit_limit_bytes: u64,
        /// What the control group that the agent lives in allows; then the other figures are those of the group. Absent where nothing limits it.
        limit_bytes: u64,
        /// Memory set aside for huge pages.
        huge_pages_total_bytes: u64,
        /// Of that, free.
        huge_pages_free_bytes: u64,
        /// Used recently.
        active_bytes: u64,
        /// Not used recently; taken first.
        inactive_bytes: u64,
        /// Memory of programs that is no file.
        anonymous_bytes: u64,
        /// Files mapped into programs.
        mapped_bytes: u64,
    }
}

section! {
    /// Pressure stall information: time lost to waiting for resources since the previous sample.
    PressureMetrics
    figures {
        /// Time in which some task waited for a processor.
        cpu_some_percent: f64,
        /// Time in which some task waited for memory.
        memory_some_percent: f64,
        /// Time in which every task that had work waited for memory.
        memory_full_percent: f64,
        /// Time in which some task waited for I/O.
        io_some_percent: f64,
        /// Time in which every task that had work waited for I/O.
        io_full_percent: f64,
        /// Time in which every task that had work waited for interrupts to be served.
        irq_full_percent: f64,
    }
}

section! {
    /// Paging.
    VmMetrics
    figures {
        /// Page faults, major ones included.
        page_faults_per_sec: u64,
        /// Page faults that had to wait for a disk.
        major_page_faults_per_sec: f64,
        /// Bytes read from disks.
        paged_in_bytes_per_sec: u64,
        /// Bytes written to disks.
        paged_out_bytes_per_sec: u64,
        /// Bytes read from swap.
        swapped_in_bytes_per_sec: u64,
        /// Bytes written to swap.
        swapped_out_bytes_per_sec: u64,
        /// Processes killed for want of memory since the host started.
        oom_kills: u64,
    }
}

section! {
    /// Load averages: tasks running or blocked, averaged over time.
    LoadMetrics
    figures {
        /// Over one minute.
        load1: f64,
        /// Over five minutes.
        load5: f64,
        /// Over fifteen minutes.
        load15: f64,
    }
}

section! {
    /// Processes: how many by state, the first of them by name, and those that belong to tasks.
    ProcessMetrics
    keys {
        /// The first by processor time, memory, disk I/O and GPU memory, by rising pid.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        top: Vec<ProcessEntry>,
        /// Tasks that somebody asked to be followed.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        task_processes: Vec<TaskProcessMetrics>,
    }
    figures {
        /// All processes.
        total_processes: u32,
        /// Running or ready to run (state R).
        running_processes: u32,
        /// Waiting, with or without a way to interrupt it (states S, D and I).
        sleeping_processes: u32,
        /// Ended, but not yet collected by their parent (state Z).
        zombie_processes: u32,
        /// Waiting without a way to interrupt it, mostly for disks (state D); part of `sleeping_processes`.
        blocked_processes: u32,
        /// Stopped by a signal or a debugger (states T and t).
        stopped_processes: u32,
        /// Threads of all processes, those of the kernel included.
        total_threads: u32,
        /// Threads that run or are ready to.
        running_threads: u32,
    }
}

section! {
    /// TCP over all connections.
    TcpMetrics
    figures {
        /// Connections that are open.
        established_connections: u64,
        /// Connections begun here.
        active_opens_per_sec: f64,
        /// Connections accepted.
        passive_opens_per_sec: f64,
        /// Connections that did not come about.
        failed_attempts_per_sec: f64,
        /// Open connections that were reset.
        established_resets_per_sec: f64,
        /// Segments received.
        segments_recv_per_sec: u64,
        /// Segments sent.
        segments_sent_per_sec: u64,
        /// Segments sent once more.
        segments_retransmitted_per_sec: f64,
        /// Broken segments received.
        errors_in_per_sec: f64,
        /// Resets sent.
        resets_sent_per_sec: f64,
        /// Sockets in use, listening ones included.
        sockets: u64,
        /// Sockets that no process holds.
        orphaned_sockets: u64,
        /// Closed connections that wait for stray segments.
        time_wait_sockets: u64,
        /// Memory of TCP buffers.
        memory_bytes: u64,
        /// Connections turned away by a full accept queue.
        listen_overflows_per_sec: f64,
        /// Connections turned away by a listening socket, for any reason.
        listen_drops_per_sec: f64,
    }
}

section! {
    /// UDP over all sockets.
    UdpMetrics
    figures {
        /// Datagrams delivered.
        datagrams_recv_per_sec: u64,
        /// Datagrams sent.
        datagrams_sent_per_sec: u64,
        /// Datagrams that could not be delivered.
        errors_in_per_sec: f64,
        /// Datagrams to a port where nobody listens.
        no_port_per_sec: f64,
        /// Datagrams dropped because the receiver was slow.
        receive_buffer_errors_per_sec: f64,
        /// Datagrams dropped because the way out was full.
        send_buffer_errors_per_sec: f64,
        /// Sockets in use.
        sockets: u64,
        /// Memory of UDP buffers.
        memory_bytes: u64,
    }
}

section! {
    /// The host as a whole.
    SystemMetrics
    figures {
        /// Time since the host started.
        uptime_seconds: u64,
        /// When the host started, in Unix seconds.
        boot_time_seconds: u64,
        /// Users with a session.
        logged_in_users: u32,
        /// File handles in use.
        open_files: u64,
        /// File handles that there may be.
        max_open_files: u64,
        /// Sockets of every kind.
        sockets: u64,
        /// Connections that the firewall tracks; absent where it tracks none.
        conntrack_entries: u64,
        /// Connections that it can track.
        max_conntrack_entries: u64,
    }
}

section! {
    /// The host's clock.
    ClockMetrics
    figures {
        /// 1 where the clock is kept in step with a time server, else 0.
        synchronized: u32,
        /// How far the clock is off, as its keeper believes; negative where it is behind.
        offset_ms: f64,
        /// How far it may be off at most; grows while no time server is heard.
        max_error_ms: f64,
    }
}

section! {
    /// The NFS client; absent where there is none.
    NfsMetrics
    figures {
        /// Calls to NFS servers.
        calls_per_sec: f64,
        /// Calls sent once more, because no answer came.
        retransmissions_per_sec: f64,
        /// Credentials asked for anew.
        auth_refreshes_per_sec: f64,
    }
}

section! {
    /// Units of systemd by state; absent where systemd does not run or does not answer.
    SystemdMetrics
    figures {
        /// Units that are active.
        active_units: u32,
        /// Units that failed; `units` has their names.
        failed_units: u32,
        /// Units that are loaded and not active.
        inactive_units: u32,
        /// Units that are starting.
        activating_units: u32,
        /// Units that are stopping.
        deactivating_units: u32,
    }
}
