"""Storage of the projection: the only package of the feature that knows AWS and SQL.

This module exports only reads, for the planes without SQL. Writers import ``projection`` and ``projection_source``
directly.
"""

from opencode_cloud.access.store.rows import AccessStore
from opencode_cloud.access.store.uses import KeyUses

__all__ = ["AccessStore", "KeyUses"]
