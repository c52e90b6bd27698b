update app_user set totp_step = $2 where name = $1 and totp_step < $2
