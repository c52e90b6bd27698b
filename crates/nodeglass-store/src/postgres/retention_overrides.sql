select key, keep_raw_ms, keep_rollups_ms
from agent
where keep_raw_ms is not null or keep_rollups_ms is not null
order by key
