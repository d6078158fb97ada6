"""Embeddings in OpenAI's form and in Google's: read, forwarded and converted (docs/formats.md, "Embeddings").

The vendor's format of model calls names the form: ``chat`` for OpenAI's, ``generate`` for Google's. Errors are in it.
"""
