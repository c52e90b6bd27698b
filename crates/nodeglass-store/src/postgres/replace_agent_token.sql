update agent set token_hash = $2 where id = $1
