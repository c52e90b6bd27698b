update enrolment_state set server_id = $1 where server_id is null
