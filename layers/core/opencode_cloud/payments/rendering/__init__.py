"""Forms of a document that are made from its data."""
