"""Rules of access, free of AWS and HTTP."""

from opencode_cloud.access.service.authentication import Access, Request, proof_of

__all__ = ["Access", "Request", "proof_of"]
