delete from slot where id = $1
