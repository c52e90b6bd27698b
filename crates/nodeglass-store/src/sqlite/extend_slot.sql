update slot set min_ts = min(min_ts, $2), max_ts = max(max_ts, $3), bytes = bytes + $4 where id = $1
