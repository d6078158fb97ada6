"""Wire formats: requests, answers and streams, and the ways between them."""
