delete from chunk_small
using unnest($2::bigint[], $3::integer[]) as old (t0, rev)
where agent_key = $1 and chunk_small.t0 = old.t0 and chunk_small.rev = old.rev
