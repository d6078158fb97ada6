"""The HTTP frame of every feature: the permission gate, request parsing, form tokens and the page frame."""
