select alias.id, alias.agent_key, alias.since from alias join agent on agent.key = alias.agent_key order by alias.since
