select agent.key, agent.id, agent.system_info
from agent_identity
join agent on agent.key = agent_identity.agent_key
where agent_identity.key_hash = $1
