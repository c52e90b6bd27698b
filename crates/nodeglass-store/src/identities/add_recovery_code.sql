insert into recovery_code (user_name, code_hash) values ($1, $2)
