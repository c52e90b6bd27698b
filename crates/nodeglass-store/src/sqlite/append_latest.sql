insert into latest (agent_key, ts, epoch, seq)
values ($1, $2, $3, $4)
on conflict (agent_key) do update set ts = excluded.ts, epoch = excluded.epoch, seq = excluded.seq
where (latest.ts, latest.epoch, latest.seq) < (excluded.ts, excluded.epoch, excluded.seq)
