select task_id, started_at, last_seen_at, ended_at, exit_code, command, cpu_time_ms, peak_memory_bytes
from task
where agent_key = $1 and started_at < $3 and coalesce(ended_at, last_seen_at) >= $2
order by started_at desc, task_id
limit $4
