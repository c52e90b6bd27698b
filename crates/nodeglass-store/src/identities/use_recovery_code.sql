delete from recovery_code where user_name = $1 and code_hash = $2
