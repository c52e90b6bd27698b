delete from staging
where ctid = any (array(select ctid from staging where ts < $1 order by ts limit $2))
