-- The newest sample of each agent is written anew each minute, values and all. A row of some hundred series fits in a page; out
-- of it, each time, were some rows of another table that became garbage a minute later, and an attempt at compression.
alter table latest set (toast_tuple_target = 8160);
