select latest.agent_key, latest.ts, staging.payload
from latest
left join staging
    on staging.ts = latest.ts and staging.agent_key = latest.agent_key
    and staging.epoch = latest.epoch and staging.seq = latest.seq
