select exists (select 1 from api_token where role = $1)
