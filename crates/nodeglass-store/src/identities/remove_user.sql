delete from app_user where name = $1
