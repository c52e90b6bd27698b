update enrolment_state set revocations = revocations + 1 returning revocations
