select rollup_version from ledger where agent_key = $1
