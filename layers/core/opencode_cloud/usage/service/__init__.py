"""The rules of usage."""

from opencode_cloud.usage.service.ingesting import Ingest

__all__ = ["Ingest"]
