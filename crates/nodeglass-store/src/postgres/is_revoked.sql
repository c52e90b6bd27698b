select count(*) from revocation where key_hash = $1
