select version from identity_version
