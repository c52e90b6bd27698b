insert into registry (agent_key, own_labels, version, epoch, booted_at) values ($1, $2::text::jsonb, $3, $4, $5)
on conflict (agent_key) do update set
    own_labels = excluded.own_labels, version = excluded.version, epoch = excluded.epoch, booted_at = excluded.booted_at
