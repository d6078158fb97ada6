"""Where the projection is kept: the only room of the feature that knows AWS and SQL.

Only reads are offered here, for the planes without SQL: ``projection`` and ``truth`` are imported by who projects.
"""

from opencode_cloud.access.store.rows import AccessStore
from opencode_cloud.access.store.uses import KeyUses

__all__ = ["AccessStore", "KeyUses"]
