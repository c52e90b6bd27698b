delete from staging where rowid in (select rowid from staging where slot = $1 limit $2)
