"""Rules of keys and provider credentials, free of AWS and HTTP."""

from opencode_cloud.keys.service.credentials import Credentials
from opencode_cloud.keys.service.keys import CreateKey, Keys, UpdateKey

__all__ = ["CreateKey", "Credentials", "Keys", "UpdateKey"]
