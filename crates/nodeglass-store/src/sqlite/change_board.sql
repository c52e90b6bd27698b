update dashboard set name = $2, body = $3, revision = revision + 1, saved_at = $4, saved_by = $5
where id = $1 and revision = $6
