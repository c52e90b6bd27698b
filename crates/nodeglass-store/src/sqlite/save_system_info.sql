update agent set system_info = $2 where key = $1
