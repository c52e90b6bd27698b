select pg_advisory_xact_lock(1852795252, $1)
