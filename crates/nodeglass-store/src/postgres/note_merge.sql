update ledger
set
    small_points = small.points,
    small_since = case when small.points > 0 then small_since end,
    rollup_version = rollup_version + 1
from (select coalesce(sum(n), 0) as points from chunk_small where agent_key = $1) as small
where ledger.agent_key = $1
