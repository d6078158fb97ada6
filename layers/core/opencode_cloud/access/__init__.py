"""What the hot planes enforce: the projection of keys, members, workspaces and policies in DynamoDB."""
