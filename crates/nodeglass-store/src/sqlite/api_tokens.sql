select token_hash, role from api_token
