"""Wire formats: requests, answers and streams, and the conversions between them."""
