"""Versions of documents as ETags. A change must name the version that it is based on."""

from __future__ import annotations

import re

from opencode_cloud.kit import http_events
from opencode_cloud.kit.errors import BadRequest, PreconditionFailed, PreconditionRequired

_TAG = re.compile(r'(?:W/)?"(\d{1,9})"')


def etag(version: int) -> str:
    """Return the header ``ETag`` of a document's version."""
    return f'"{version}"'


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
        raise BadRequest("invalid_version", '`If-Match` must be one `ETag` as it was answered, such as "3".')
    return int(match[1])


def check_version(requested: int, current: int) -> None:
    """Raise ``stale_version`` (412) when the document has changed since the version that the caller has read."""
    if requested != current:
        raise PreconditionFailed(
            "stale_version", "This was changed after you read it. Read it again, then repeat your change."
        )
