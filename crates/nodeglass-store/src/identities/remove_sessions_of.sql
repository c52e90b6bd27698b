delete from session where kind = $1 and name = $2
