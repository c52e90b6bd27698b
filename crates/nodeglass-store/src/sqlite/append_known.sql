select exists (select 1 from staging where slot = $1 and ts = $2 and agent_key = $3 and epoch = $4 and seq = $5)
