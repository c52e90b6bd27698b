delete from session where kind = $1 and name = $2 and token_hash <> $3
