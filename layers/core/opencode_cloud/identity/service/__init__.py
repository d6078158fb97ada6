"""Rules of identity, free of AWS and HTTP."""
