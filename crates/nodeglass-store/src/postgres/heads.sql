select t0, rev, t1, level, n, directory
from chunk
where agent_key = $1 and t0 >= $2 and t0 < $4 and t1 > $3 and level <= $5
order by t0, rev
limit $6
