select key from agent where id = $1
