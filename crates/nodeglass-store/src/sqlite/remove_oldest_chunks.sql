delete from chunk where rev in (select rev from chunk where level = 1 order by t1 limit $1)
returning t1
