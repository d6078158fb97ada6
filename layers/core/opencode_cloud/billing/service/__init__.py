"""Rules of the ledger, free of AWS and HTTP."""
