select agent_key, ts, epoch, seq, weight, payload
from staging_$place
where (agent_key, ts, epoch, seq) > ($1, $2, $3, $4)
order by agent_key, ts, epoch, seq
limit $5
