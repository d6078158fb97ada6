"""Answers of `/api/v1`: models as JSON, never cached."""

from __future__ import annotations

from http import HTTPStatus
from typing import TypeVar

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel

from opencode_cloud.kit.etags import etag
from opencode_cloud.kit.http_events import PRIVATE

Body = TypeVar("Body", bound=BaseModel)


def document(body: Body, status: int = HTTPStatus.OK, *, version: int | None = None, tag: str = "") -> Response[Body]:
    """Answer with ``body``, with ``version`` as ``ETag`` if changes must name it, or with ``tag`` if they may."""
    tag = tag if version is None else etag(version)
    headers = {**PRIVATE, **({"ETag": tag} if tag else {})}
    return Response(status, "application/json", body, headers)  # pyright: ignore[reportArgumentType]


def nothing(status: HTTPStatus = HTTPStatus.NO_CONTENT) -> Response[None]:
    """Answer 204, or another ``status``, without a body."""
    return Response(status, "application/json", None, dict(PRIVATE))  # pyright: ignore[reportArgumentType]
