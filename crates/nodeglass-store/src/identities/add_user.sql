insert into app_user (name, role, agents, password_hash, created_at, password_changed_at, totp_secret)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (name) do nothing
