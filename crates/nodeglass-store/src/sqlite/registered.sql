select agent.key, agent.enrolled_at, registry.labels, registry.own_labels, registry.settings,
    registry.report, registry.version, registry.epoch, registry.booted_at
from agent left join registry on registry.agent_key = agent.key
where $1 is null or agent.key = $1
