"""Where policies are kept: the only room of the feature that knows SQL or AWS."""

from opencode_cloud.policies.store.documents import DocumentStore
from opencode_cloud.policies.store.site import SiteStore

__all__ = ["DocumentStore", "SiteStore"]
