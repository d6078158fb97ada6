"""PDF files: A4, with embedded fonts, the same bytes for the same data."""
