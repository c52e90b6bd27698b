insert into latest (agent_key, ts, epoch, seq)
select distinct on (agent_key) agent_key, ts, epoch, seq
from unnest($1::bigint[], $2::integer[], $3::bigint[], $4::bigint[]) as sample (ts, agent_key, epoch, seq)
order by agent_key, ts desc, epoch desc, seq desc
on conflict (agent_key) do update set ts = excluded.ts, epoch = excluded.epoch, seq = excluded.seq
where (latest.ts, latest.epoch, latest.seq) < (excluded.ts, excluded.epoch, excluded.seq)
