"""The HTTP routes of sharing: clients and operators, readers, and `/api/v1` for owners and admins."""
