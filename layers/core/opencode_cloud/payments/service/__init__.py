"""Rules of payments, free of AWS and HTTP."""
