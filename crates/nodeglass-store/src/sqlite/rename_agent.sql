update agent set id = $2 where key = $1 and not exists (select 1 from agent as other where other.id = $2)
