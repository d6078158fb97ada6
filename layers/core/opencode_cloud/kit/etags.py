"""ETags of documents: their versions, or digests of their values. A change names the one that it is based on."""

from __future__ import annotations

import hashlib
import re

import msgspec

from opencode_cloud.kit import http_events
from opencode_cloud.kit.errors import BadRequest, PreconditionFailed, PreconditionRequired

_TAG = re.compile(r'(?:W/)?"(\d{1,9})"')
_ANY_TAG = re.compile(r'(?:W/)?("[!#-~]{1,64}")')


def etag(version: int) -> str:
    """Return the header ``ETag`` of a document's version."""
    return f'"{version}"'


def tag_of(*values: object) -> str:
    """Return the header ``ETag`` of a document without a version: a digest of the values that changes set."""
    return f'"{hashlib.sha256(msgspec.json.encode(values)).hexdigest()[:32]}"'


def tag_of_request(event: http_events.Event) -> str | None:
    """Return the tag that ``If-Match`` names, without a mark of weakness; None without the header, or for ``*``.

    Raises ``invalid_version`` (400) if it is malformed.
    """
    value = http_events.header(event, "if-match").strip()
    if not value or value == "*":
        return None
    match = _ANY_TAG.fullmatch(value)
    if not match:
        raise _invalid_version()
    return match[1]


def version_of_request(event: http_events.Event) -> int:
    """Return the version that ``If-Match`` names.

    Weak tags (``W/"3"``) are accepted: CloudFront weakens tags of answers that it compresses, and our tags count
    versions, not bytes. Raises ``version_required`` (428) without the header, ``invalid_version`` (400) if malformed.
    """
    value = http_events.header(event, "if-match").strip()
    if not value or value == "*":
        raise PreconditionRequired(
            "version_required", "Send the `ETag` of the version that you have read as `If-Match`, so no change is lost."
        )
    match = _TAG.fullmatch(value)
    if not match:
        raise _invalid_version()
    return int(match[1])


def check_version(requested: int, current: int) -> None:
    """Raise ``stale_version`` (412) when the document has changed since the version that the caller has read."""
    if requested != current:
        raise _stale_version(etag(current))


def check_tag(requested: str | None, current: str) -> None:
    """Raise ``stale_version`` (412) when the caller has read another state of the document. None: any state."""
    if requested is not None and requested != current:
        raise _stale_version(current)


def _invalid_version() -> BadRequest:
    return BadRequest("invalid_version", '`If-Match` must be one `ETag` as it was answered, such as "3".')


def _stale_version(current: str) -> PreconditionFailed:
    return PreconditionFailed(
        "stale_version", "This was changed after you read it. Read it again, then repeat your change.", current
    )
