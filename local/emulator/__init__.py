"""Code that runs inside MiniStack's environment: import only the standard library and MiniStack here."""
