insert into latest (agent_key, ts, epoch, seq, payload)
select * from unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[])
on conflict (agent_key) do update
    set ts = excluded.ts, epoch = excluded.epoch, seq = excluded.seq, payload = excluded.payload,
        series = null, value = null
    where (latest.ts, latest.epoch, latest.seq) < (excluded.ts, excluded.epoch, excluded.seq)
