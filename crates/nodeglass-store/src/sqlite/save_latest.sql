insert into latest (agent_key, ts, epoch, seq, payload, series, value)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (agent_key) do update
    set ts = excluded.ts, epoch = excluded.epoch, seq = excluded.seq, payload = excluded.payload,
        series = excluded.series, value = excluded.value
    where (latest.ts, latest.epoch, latest.seq) <= (excluded.ts, excluded.epoch, excluded.seq)
