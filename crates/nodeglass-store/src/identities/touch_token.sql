update api_token set last_used_at = $2 where token_hash = $1 and coalesce(last_used_at, 0) < $2
