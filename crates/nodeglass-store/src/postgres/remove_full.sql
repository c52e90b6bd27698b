delete from chunk_full
using unnest($2::bigint[], $3::integer[]) as old (t0, rev)
where agent_key = $1 and chunk_full.t0 = old.t0 and chunk_full.rev = old.rev and chunk_full.t0 between $4 and $5
