delete from rollup
using unnest($2::integer[], $3::bigint[]) as old (block, hour)
where agent_key = $1 and rollup.block = old.block and rollup.hour = old.hour and rollup.hour between $4 and $5
