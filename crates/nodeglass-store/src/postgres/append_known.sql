select sample.number
from unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[])
    with ordinality as sample (agent_key, ts, epoch, seq, number)
cross join lateral (
    select 1
    from staging_$place as staging
    where staging.agent_key = sample.agent_key and staging.ts = sample.ts
        and staging.epoch = sample.epoch and staging.seq = sample.seq
    limit 1
) as known
