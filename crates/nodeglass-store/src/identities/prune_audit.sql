-- Numbers grow, so those from so many below the greatest on are the newest.
delete from audit where at < $1 or id <= (select coalesce(max(id), 0) from audit) - $2
