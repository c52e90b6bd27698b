update slot set min_ts = least(min_ts, $2), max_ts = greatest(max_ts, $3) where id = $1
