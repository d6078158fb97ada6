"""Helpers independent of features: ids, clock, settings, errors, HTTP, DynamoDB, S3, secrets, sockets, logs."""
