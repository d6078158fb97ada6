"""HTTP to sharing and back: clients and operators, readers, and `/api/v1` for owners and admins."""
