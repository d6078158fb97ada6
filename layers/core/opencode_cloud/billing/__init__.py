"""Money: a double-entry ledger of prepaid balances, usage, payments and their corrections (docs/billing.md)."""
