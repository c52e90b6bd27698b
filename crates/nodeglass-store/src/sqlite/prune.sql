delete from staging
where (ts, agent_key, epoch, seq) in (select ts, agent_key, epoch, seq from staging where ts < $1 order by ts limit $2)
