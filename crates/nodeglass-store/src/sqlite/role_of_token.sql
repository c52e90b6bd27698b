select role from api_token where token_hash = $1
