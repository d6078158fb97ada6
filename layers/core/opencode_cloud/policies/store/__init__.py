"""Where policies are kept: the only room of the feature that knows SQL or AWS."""
