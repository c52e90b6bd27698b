-- The flags say which of them are changed.
update api_token set
    role = coalesce($2, role),
    agents = case when $3 then $4 else agents end,
    expires_at = case when $5 then $6 else expires_at end
where name = $1
