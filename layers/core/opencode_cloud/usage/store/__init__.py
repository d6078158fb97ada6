"""Storage of usage in DynamoDB, MySQL and S3. Only this package of the feature uses AWS or SQL."""
