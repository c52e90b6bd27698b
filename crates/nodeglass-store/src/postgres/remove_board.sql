delete from dashboard where id = $1
