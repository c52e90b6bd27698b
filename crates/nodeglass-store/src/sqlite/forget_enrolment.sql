delete from agent where key = $1
