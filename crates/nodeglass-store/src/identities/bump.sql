update identity_version set version = version + 1
