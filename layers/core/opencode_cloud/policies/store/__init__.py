"""Storage of policies. Only this package of the feature uses SQL or AWS."""

from opencode_cloud.policies.store.documents import DocumentStore
from opencode_cloud.policies.store.well_known import SiteStore

__all__ = ["DocumentStore", "SiteStore"]
