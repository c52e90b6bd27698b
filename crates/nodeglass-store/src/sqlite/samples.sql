select ts, epoch, seq, payload
from staging
where agent_key = $1 and ts >= $2 and ts < $3 and (ts, epoch, seq) > ($4, $5, $6)
order by ts, epoch, seq
limit $7
