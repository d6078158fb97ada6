"""Rules of access, free of AWS and HTTP."""

from opencode_cloud.access.credentials import AccessRequest, proof_of
from opencode_cloud.access.service.authentication import Access

__all__ = ["Access", "AccessRequest", "proof_of"]
