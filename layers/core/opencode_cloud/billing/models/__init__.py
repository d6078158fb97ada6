"""Models of the ledger: accounts, transactions, payments, and documents of the API."""
