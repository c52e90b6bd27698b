select name, role, agents, password_hash, created_at, password_changed_at, totp_secret from app_user order by name
