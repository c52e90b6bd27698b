-- The flag says whether the selector is changed.
update app_user set
    role = coalesce($2, role),
    agents = case when $3 then $4 else agents end
where name = $1
