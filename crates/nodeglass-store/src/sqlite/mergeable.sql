select agent_key from ledger
where small_points >= $1 or small_since <= $2
order by small_since, agent_key
limit $3
