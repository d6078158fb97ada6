"""The ledger in MySQL."""
