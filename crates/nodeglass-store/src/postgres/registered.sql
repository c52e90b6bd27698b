select agent.key, agent.enrolled_at, registry.labels::text, registry.own_labels::text, registry.settings::text,
    registry.report::text, registry.version, registry.epoch, registry.booted_at
from agent left join registry on registry.agent_key = agent.key
where $1::integer is null or agent.key = $1
