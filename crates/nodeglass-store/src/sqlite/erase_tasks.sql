delete from task where agent_key = $1 and (task_id, started_at) in
    (select task_id, started_at from task where agent_key = $1 limit $2)
