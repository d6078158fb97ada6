"""HTTP for all features: the permission gate, request parsing, form tokens and the page frame."""
