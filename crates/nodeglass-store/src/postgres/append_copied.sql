copy staging_$place (place, agent_key, ts, epoch, seq, weight, payload) from stdin (format binary)
