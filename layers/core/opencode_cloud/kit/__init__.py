"""What knows no feature: ids, clock, settings, errors, HTTP, DynamoDB, S3, secrets, sockets, logs."""
