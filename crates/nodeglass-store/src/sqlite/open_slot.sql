select id, opened_at, bytes from slot where closed_at is null
