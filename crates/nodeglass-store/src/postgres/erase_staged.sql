delete from staging where agent_key = $1 and (place, ts, epoch, seq) in
    (select place, ts, epoch, seq from staging where agent_key = $1 limit $2)
