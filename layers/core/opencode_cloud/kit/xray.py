"""Signed headers for spans that go to X-Ray, which takes OTLP but no unsigned request.

Reference: CloudWatch User Guide, "OTLP endpoints": HTTP 1.1, JSON, at most 10,000 spans and 5 MB in a request.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from opencode_cloud.kit.aws_api.credentials import credential_source
from opencode_cloud.kit.aws_api.signing import Signers

HOST = re.compile(r"xray\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?")
"""The hosts of X-Ray, with their region."""

Sign = Callable[[bytes, Mapping[str, str]], Mapping[str, str]]
"""Returns the headers of a request with a body and the given headers."""


def is_xray(url: str) -> bool:
    """Tell whether ``url`` is of X-Ray."""
    return HOST.fullmatch(urlsplit(url).netloc) is not None


def signature_of(url: str) -> Sign | None:
    """Return what signs a POST to ``url`` with the credentials of this process; None if it is not of X-Ray."""
    address = urlsplit(url)
    match = HOST.fullmatch(address.netloc)
    if match is None:
        return None
    signers = Signers(credential_source(), match[1], "xray", address.netloc)

    def sign(body: bytes, headers: Mapping[str, str]) -> Mapping[str, str]:
        return signers.signer("spans", headers).headers("POST", address.path, body)

    return sign
