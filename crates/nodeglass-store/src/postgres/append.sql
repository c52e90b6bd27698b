with sample as (
    select * from unnest($1::bigint[], $2::integer[], $3::bigint[], $4::bigint[], $5::bytea[], $6::integer[])
        as sample (ts, agent_key, epoch, seq, payload, weight)
), inserted as (
    insert into staging (ts, agent_key, epoch, seq, payload)
    select ts, agent_key, epoch, seq, payload from sample
    on conflict do nothing
    returning ts, agent_key, epoch, seq
), given as (
    select agent_key, sum(weight) as weight from sample group by agent_key
), stored as (
    -- A sample that stands twice in the group is stored once, and counts as a duplicate the other time.
    select agent_key, sum(weight) as weight
    from (
        select distinct on (agent_key, ts, epoch, seq) agent_key, weight
        from inserted join sample using (agent_key, ts, epoch, seq)
        order by agent_key, ts, epoch, seq, weight desc
    ) as once
    group by agent_key
), counted as (
    insert into ledger (agent_key, stored, duplicate)
    select agent_key, coalesce(stored.weight, 0), given.weight - coalesce(stored.weight, 0)
    from given left join stored using (agent_key)
    order by agent_key
    on conflict (agent_key) do update
        set stored = ledger.stored + excluded.stored, duplicate = ledger.duplicate + excluded.duplicate
)
select coalesce(sum(weight), 0)::bigint from stored
