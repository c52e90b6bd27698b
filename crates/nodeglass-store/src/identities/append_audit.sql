insert into audit (at, kind, name, address, action, subject, outcome, detail, request_id, count)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
