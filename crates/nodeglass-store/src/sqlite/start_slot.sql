insert into slot (opened_at) values ($1)
