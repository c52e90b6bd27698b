with page as materialized (
    select rowid as id, agent_key, ts, epoch, seq
    from staging
    where slot = $1 and (agent_key, ts, epoch, seq) > ($2, $3, $4, $5)
    order by agent_key, ts, epoch, seq
    limit $6
)
select page.agent_key, page.ts, page.epoch, page.seq, staging.weight, staging.payload
from page
join staging on staging.rowid = page.id
order by page.agent_key, page.ts, page.epoch, page.seq
