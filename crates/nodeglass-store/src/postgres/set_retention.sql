update agent set keep_raw_ms = $2, keep_rollups_ms = $3 where key = $1
