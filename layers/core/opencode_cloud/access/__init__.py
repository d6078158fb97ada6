"""Access: the projection of keys, members, workspaces and policies in DynamoDB, which the data planes enforce."""
