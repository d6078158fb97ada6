"""SQL tables and row codecs that several features join."""
