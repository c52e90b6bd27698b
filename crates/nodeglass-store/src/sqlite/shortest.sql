select min($1, coalesce(min(keep_raw_ms), $1)), min($2, coalesce(min(keep_rollups_ms), $2)) from agent
