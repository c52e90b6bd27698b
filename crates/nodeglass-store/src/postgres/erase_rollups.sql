delete from rollup where agent_key = $1 and (block, hour) in
    (select block, hour from rollup where agent_key = $1 limit $2)
