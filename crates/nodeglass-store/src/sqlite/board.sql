select id, name, revision, saved_at, saved_by, body from dashboard where id = $1
