"""Files that a browser saves. It may keep a copy, which it checks by ``ETag`` each time."""

from __future__ import annotations

import hashlib
from http import HTTPStatus

from opencode_cloud.kit import http_events
from opencode_cloud.kit.http_events import Event, HttpReply

PDF = "application/pdf"


def pdf_reply(event: Event, body: bytes, name: str) -> HttpReply:
    """Answer with a PDF file that is saved as ``name`` and ``.pdf``, or with 304 if the browser has these bytes."""
    etag = hashlib.sha256(body).hexdigest()[:32]
    # Browsers ask each time, so a kept copy needs the same rights. They get no body if they have the file.
    headers = {
        "Cache-Control": "private, no-cache",
        "ETag": f'"{etag}"',
        "Content-Disposition": f'attachment; filename="{name}.pdf"',
    }
    if etag in http_events.header(event, "if-none-match"):
        return http_events.reply(event, b"", PDF, status=HTTPStatus.NOT_MODIFIED, headers=headers)
    return http_events.reply_binary(body, PDF, headers=headers)
