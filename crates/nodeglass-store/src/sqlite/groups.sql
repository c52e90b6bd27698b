select name, place, selector, settings from agent_group order by place, name
