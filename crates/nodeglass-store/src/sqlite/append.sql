insert into staging (ts, agent_key, epoch, seq, payload)
values ($1, $2, $3, $4, $5)
on conflict do nothing
