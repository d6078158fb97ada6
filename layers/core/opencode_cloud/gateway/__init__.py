"""The model gateway: four formats in, any upstream out, metered."""
