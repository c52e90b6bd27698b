//! Who uses a host: processes, tasks, containers, units, and programs that tell of themselves.

use serde::Serialize;

section! {
    /// One process among the first by some measure.
    ProcessEntry
    keys {
        /// Its number.
        pid: u32,
        /// When it started, in Unix seconds; with the pid it names one process for good.
        start_time: u64,
        /// The program's short name.
        name: String,
        /// Its command line, as far as the configuration allows.
        #[serde(skip_serializing_if = "String::is_empty")]
        command: String,
        /// Who runs it.
        #[serde(skip_serializing_if = "String::is_empty")]
        user: String,
        /// The systemd unit that it belongs to.
        #[serde(skip_serializing_if = "String::is_empty")]
        unit: String,
        /// The container that it belongs to.
        #[serde(skip_serializing_if = "String::is_empty")]
        container: String,
        /// Its control group.
        #[serde(skip_serializing_if = "String::is_empty")]
        cgroup: String,
    }
    figures {
        /// Processor time, in percent of one core.
        cpu_percent: f64,
        /// Resident memory.
        memory_bytes: u64,
        /// Its threads.
        threads: u32,
        /// Bytes read from disks; absent where the agent may not know.
        read_bytes_per_sec: u64,
        /// Bytes written to disks; absent where the agent may not know.
        write_bytes_per_sec: u64,
        /// Memory on all GPUs.
        gpu_memory_bytes: u64,
        /// Use of GPUs, in percent of one.
        gpu_utilization_percent: f64,
    }
}

section! {
    /// One task: a program, with all that it started, that somebody asked to be followed.
    TaskProcessMetrics
    keys {
        /// Its name, given by whoever asked.
        task_id: String,
        /// What runs: the command line, or what is followed.
        #[serde(skip_serializing_if = "String::is_empty")]
        command: String,
    }
    figures {
        /// Processor time of all its processes, in percent of one core.
        cpu_percent: f64,
        /// Resident memory of all its processes.
        memory_bytes: u64,
        /// Address space of all its processes.
        virtual_memory_bytes: u64,
        /// Threads of all its processes.
        threads: u32,
        /// Bytes read from disks since the task began; absent where the agent may not know.
        read_bytes: u64,
        /// Bytes written to disks since the task began; absent where the agent may not know.
        write_bytes: u64,
        /// Its processes.
        processes: u32,
        /// The first process; absent for a control group.
        pid: u32,
        /// Processor time since the task began.
        cpu_time_ms: u64,
        /// The most resident memory that was seen.
        peak_memory_bytes: u64,
        /// When the task began, in Unix milliseconds.
        started_at_ms: u64,
        /// When it ended, in Unix milliseconds; absent while it runs.
        ended_at_ms: u64,
        /// How it ended, 128 + N after signal N; absent while it runs and where it is not known.
        exit_code: u32,
    }
}

section! {
    /// One container, or a control group that is measured like one.
    ContainerMetrics
    keys {
        /// Its name, unique on the host.
        name: String,
        /// The runtime's identity of it.
        #[serde(skip_serializing_if = "String::is_empty")]
        id: String,
        /// What it was made from.
        #[serde(skip_serializing_if = "String::is_empty")]
        image: String,
        /// What runs it: `docker`, `podman`, `lxc`, ...
        #[serde(skip_serializing_if = "String::is_empty")]
        runtime: String,
        /// Its control group.
        #[serde(skip_serializing_if = "String::is_empty")]
        cgroup: String,
    }
    figures {
        /// Processor time, in percent of one core.
        cpu_percent: f64,
        /// Processors that it may use; absent without a limit.
        cpu_limit_cores: f64,
        /// Share of the periods in which it was held back by that limit.
        cpu_throttled_percent: f64,
        /// Memory in use, page cache that can be dropped left out.
        memory_bytes: u64,
        /// Memory that it may use; absent without a limit.
        memory_limit_bytes: u64,
        /// Used of the limit.
        memory_usage_percent: f64,
        /// Bytes read from disks.
        read_bytes_per_sec: u64,
        /// Bytes written to disks.
        write_bytes_per_sec: u64,
        /// Reads from disks.
        read_ops_per_sec: u64,
        /// Writes to disks.
        write_ops_per_sec: u64,
        /// Bytes received; absent where it shares the host's network.
        bytes_recv_per_sec: u64,
        /// Bytes sent; absent where it shares the host's network.
        bytes_sent_per_sec: u64,
        /// Processes and threads.
        pids: u64,
        /// Processes and threads that it may have; absent without a limit.
        pids_limit: u64,
        /// Processes killed for want of memory since it started.
        oom_kills: u64,
    }
}

section! {
    /// One systemd unit that failed.
    UnitMetrics
    keys {
        /// Its name: `backup.service`.
        unit: String,
    }
    figures {
        /// 1: the unit failed. Units that did not are not listed.
        failed: u32,
    }
}

section! {
    /// What a program says of how it serves.
    AppMetrics
    figures {
        /// How long an answer takes.
        response_time_ms: f64,
        /// Requests served.
        requests_per_minute: f64,
        /// Share of the requests that fail.
        error_percent: f64,
        /// Bytes sent and received, where they are not told apart.
        network_bytes_per_sec: u64,
    }
}

section! {
    /// One figure of a program's own.
    CustomMetrics
    keys {
        /// Its name.
        name: String,
    }
    figures {
        /// Its value, in a unit of its own.
        value: f64,
    }
}
