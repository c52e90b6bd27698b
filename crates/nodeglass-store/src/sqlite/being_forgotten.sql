select agent_key, id, at from forgotten where not keeps_data and done_at is null order by at
