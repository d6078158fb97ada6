"""Storage of the outbox. Only this package of the feature knows SQL or AWS."""

from opencode_cloud.outbox.store.messages import OutboxStore

__all__ = ["OutboxStore"]
