update app_user set totp_secret = $2, totp_step = 0 where name = $1
