"""Where the outbox is kept: the only room of the feature that knows SQL or AWS."""

from opencode_cloud.outbox.store.messages import OutboxStore

__all__ = ["OutboxStore"]
