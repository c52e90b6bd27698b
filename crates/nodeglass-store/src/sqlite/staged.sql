select ts, epoch, seq, weight, payload
from slot
cross join staging on staging.slot = slot.id
where ts >= $2 and ts < $3 and (ts, epoch, seq) > ($4, $5, $6) and staging.agent_key = $1 and slot.done_through < $1
order by ts, epoch, seq
limit $7
