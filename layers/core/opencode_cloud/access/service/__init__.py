"""Rules of access, free of AWS and HTTP."""

from opencode_cloud.access.credentials import Request, proof_of
from opencode_cloud.access.service.authentication import Access

__all__ = ["Access", "Request", "proof_of"]
