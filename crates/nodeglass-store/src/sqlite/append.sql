insert into staging (slot, ts, agent_key, epoch, seq, weight, payload)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict do nothing
