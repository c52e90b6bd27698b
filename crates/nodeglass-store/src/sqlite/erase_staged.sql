delete from staging where agent_key = $1 and rowid in (select value from json_each($2))
