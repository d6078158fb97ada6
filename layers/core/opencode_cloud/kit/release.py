"""The version of this release, which pages and health checks show."""

VERSION = "0.1.0"
"""The same as in ``pyproject.toml``."""
