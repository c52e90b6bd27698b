-- One statement sees one moment: no sample is both in a chunk and staged, and none in neither.
select t0, rev, 0, n, case when rev in (select value from json_each($6)) then null else directory end, level
from chunk
where agent_key = $1 and t0 >= $2 and t0 < $4 and t1 > $3 and level <= $5
union all
select ts, epoch, seq, weight, payload, -1
from slot
cross join staging on staging.slot = slot.id
where ts >= $3 and ts < $4 and staging.agent_key = $1 and slot.done_through < $1
union all
select rollup_version, 0, 0, 0, null, -2
from ledger
where agent_key = $1
