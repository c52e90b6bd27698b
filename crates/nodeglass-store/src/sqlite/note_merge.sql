update ledger
set
    small_points = small.points,
    small_since = case when small.points > 0 then small_since end,
    rollup_version = rollup_version + 1
from (select coalesce(sum(n), 0) as points from chunk where agent_key = $1 and level = 0) as small
where ledger.agent_key = $1
