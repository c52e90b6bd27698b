insert into task (agent_key, task_id, started_at, last_seen_at, ended_at, exit_code, command, cpu_time_ms, peak_memory_bytes)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (agent_key, task_id, started_at) do update
    set last_seen_at = excluded.last_seen_at,
        ended_at = coalesce(excluded.ended_at, task.ended_at),
        exit_code = coalesce(excluded.exit_code, task.exit_code),
        command = excluded.command,
        cpu_time_ms = excluded.cpu_time_ms,
        peak_memory_bytes = excluded.peak_memory_bytes
    where excluded.last_seen_at >= task.last_seen_at
