select stored, duplicate, agent_side from ledger where agent_key = $1
