"""Rules of keys and provider credentials, free of AWS and HTTP."""

from opencode_cloud.keys.service.credentials import Credentials
from opencode_cloud.keys.service.keys import Keys, Narrowing, Wish

__all__ = ["Credentials", "Keys", "Narrowing", "Wish"]
