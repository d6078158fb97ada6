"""What runs inside MiniStack's own environment: only the standard library and MiniStack may be imported here."""
