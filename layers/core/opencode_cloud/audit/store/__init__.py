"""Where audit entries are kept: the only room of the feature that knows SQL or AWS."""

from opencode_cloud.audit.store.entries import AuditArchive, AuditStore

__all__ = ["AuditArchive", "AuditStore"]
