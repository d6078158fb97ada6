"""HTTP to keys and provider credentials, and back."""

from opencode_cloud.keys.routes.keys import KeyRoutes

__all__ = ["KeyRoutes"]
