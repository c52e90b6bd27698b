select ts, epoch, seq, weight, payload
from staging
join slot on slot.place = staging.place
where staging.agent_key = $1 and ts >= $2 and ts < $3 and (ts, epoch, seq) > ($4, $5, $6)
    and staging.agent_key > slot.done_through
order by ts, epoch, seq
limit $7
