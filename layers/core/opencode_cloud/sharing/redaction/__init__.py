"""Finding secrets in published items, and replacing them before the items are stored (docs/redaction.md)."""
