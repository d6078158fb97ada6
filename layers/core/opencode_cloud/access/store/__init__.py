"""Where the projection is kept: the only room of the feature that knows AWS."""

from opencode_cloud.access.store.rows import AccessStore, Holder, Person

__all__ = ["AccessStore", "Holder", "Person"]
