-- Whoever signs in without end does not fill the table.
delete from session where kind = $1 and name = $2 and token_hash not in (
    select token_hash from session where kind = $1 and name = $2 order by created_at desc, id limit $3
)
