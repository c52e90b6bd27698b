select hour, count, mean, min, max
from rollup
where agent_key = $1 and block = $2 and hour >= $3 and hour < $4
order by hour
