update app_user set password_hash = $2, password_changed_at = $3 where name = $1
