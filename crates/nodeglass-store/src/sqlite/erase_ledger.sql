delete from ledger where agent_key = $1
