select id from agent where substr(id, 1, length($1)) = $1
