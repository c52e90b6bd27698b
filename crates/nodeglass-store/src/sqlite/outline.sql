select t0, rev, level, n, case when rev in (select value from json_each($6)) then null else directory end
from chunk
where agent_key = $1 and t0 >= $2 and t0 < $4 and t1 > $3 and level <= $5
order by t0, rev
