select server_id from enrolment_state
