select
    least($1, min(keep_raw_ms)), greatest($1, max(keep_raw_ms)),
    least($2, min(keep_rollups_ms)), greatest($2, max(keep_rollups_ms))
from agent
