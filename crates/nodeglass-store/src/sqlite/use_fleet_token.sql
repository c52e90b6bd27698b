update fleet_token set uses = uses + 1 where name = $1
