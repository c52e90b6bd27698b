insert into latest (agent_key, ts, epoch, seq, payload, series, value)
select
    agent_key, ts, epoch, seq, payload,
    nullif(($6::integer[])[first:last], '{}'), nullif(($7::float8[])[first:last], '{}')
from unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[], $8::integer[], $9::integer[])
    as given (agent_key, ts, epoch, seq, payload, first, last)
on conflict (agent_key) do update
    set ts = excluded.ts, epoch = excluded.epoch, seq = excluded.seq, payload = excluded.payload,
        series = excluded.series, value = excluded.value
    where (latest.ts, latest.epoch, latest.seq) <= (excluded.ts, excluded.epoch, excluded.seq)
