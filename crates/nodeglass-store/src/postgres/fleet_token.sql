select name, created_at, expires_at, max_uses, uses, pattern, labels, revoked_at
from fleet_token
where token_hash = $1 for update
