"""Where usage is kept, in DynamoDB, MySQL and S3: the only room of the feature that knows AWS or SQL."""
