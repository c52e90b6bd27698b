-- One statement sees one moment: no sample is both in a chunk and staged, and none in neither.
select
    t0,
    rev::bigint,
    0::bigint,
    n,
    case when (t0, rev) in (select known.t0, known.rev from unnest($6::bigint[], $7::integer[]) as known (t0, rev))
        then null else directory end,
    level::integer
from chunk
where agent_key = $1 and t0 >= $2 and t0 < $4 and t1 > $3 and level <= $5
union all
select ts, epoch, seq, weight, payload, -1
from staging
join slot on slot.place = staging.place
where staging.agent_key = $1 and ts >= $3 and ts < $4 and staging.agent_key > slot.done_through
union all
select rollup_version, 0, 0, 0, null, -2
from ledger
where agent_key = $1
