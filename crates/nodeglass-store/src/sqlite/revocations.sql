select number, key_hash, agent_key from revocation where number > $1 order by number limit $2
