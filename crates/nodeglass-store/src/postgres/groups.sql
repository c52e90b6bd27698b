select name, place, selector::text, settings::text from agent_group order by place, name
