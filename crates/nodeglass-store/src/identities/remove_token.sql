delete from api_token where name = $1
