select wanted.number, hour, count[wanted.place], mean[wanted.place], min[wanted.place], max[wanted.place]
from unnest($2::integer[], $3::integer[]) with ordinality as wanted (block, place, number)
join rollup on agent_key = $1 and rollup.block = wanted.block and hour >= $4 and hour < $5
where count[wanted.place] > 0
order by wanted.number, hour
