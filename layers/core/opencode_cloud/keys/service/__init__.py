"""Rules of keys and provider credentials, free of AWS and HTTP."""

from opencode_cloud.keys.service.keys import Keys

__all__ = ["Keys"]
