update ledger
set
    small_points = small.points,
    small_since = case when small.points > 0 then small_since end,
    -- No number comes twice, even if a standby takes over that has not seen the last ones.
    rollup_version = greatest(rollup_version + 1, (extract(epoch from clock_timestamp()) * 1000)::bigint)
from (select coalesce(sum(n), 0) as points from chunk_small where agent_key = $1) as small
where ledger.agent_key = $1
