-- An action ends with % where all are meant that begin so.
select id, at, kind, name, address, action, subject, outcome, detail, request_id, count
from audit
where (cast($1 as text) is null or name = $1)
    and (cast($2 as text) is null or action like $2 escape '\')
    and (cast($3 as text) is null or subject = $3)
    and (cast($4 as text) is null or outcome = $4)
    and at >= $5
    and at < $6
    and id < $7
order by id desc
limit $8
