select id, name, revision, saved_at, saved_by from dashboard order by name, id
