"""Storage of audit entries. Only this package of the feature knows SQL or AWS."""

from opencode_cloud.audit.store.entries import AuditArchive, AuditStore

__all__ = ["AuditArchive", "AuditStore"]
