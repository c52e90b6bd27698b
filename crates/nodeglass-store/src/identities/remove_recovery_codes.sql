delete from recovery_code where user_name = $1
