select staging.rowid from slot cross join staging on staging.slot = slot.id where staging.agent_key = $1 limit $2
