select invitation.agent_key, agent.id, invitation.expires_at, invitation.used_by
from invitation
join agent on agent.key = invitation.agent_key
where invitation.token_hash = $1 for update of invitation
