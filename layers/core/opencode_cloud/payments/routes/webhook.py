"""``POST /stripe/webhook``: deliveries of Stripe. The answer decides whether Stripe delivers the event again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from opencode_cloud.kit import http_events
from opencode_cloud.kit.errors import PayloadTooLarge, ServiceError, route_not_found
from opencode_cloud.kit.log import logger

if TYPE_CHECKING:
    from opencode_cloud.payments.service.receiving import Receiving

WEBHOOK_PATH = "/stripe/webhook"
LARGEST_BODY = 512 * 1024
"""Bytes. Stripe's largest events have less than half."""


def answer_webhook(receiving: Receiving, event: Mapping[str, Any]) -> dict[str, Any]:
    """Answer 200 after the commit, 400 to an unsigned request, 5xx if nothing is stored."""
    try:
        if event["requestContext"]["http"]["method"] != "POST":
            raise route_not_found()
        body = http_events.raw_body(event)
        if len(body) > LARGEST_BODY:
            raise PayloadTooLarge("event_too_large", "The event is larger than any that Stripe sends.")
        done = receiving.webhook(body, http_events.header(event, "stripe-signature"))
    except ServiceError as error:
        logger.warning("an event was not taken", extra={"code": error.code})
        return _answer(error.status, {"code": error.code, "message": error.message})
    return _answer(HTTPStatus.OK, {"state": done.state})


def _answer(status: int, body: Mapping[str, str]) -> dict[str, Any]:
    headers = {"Content-Type": "application/json", **http_events.PRIVATE}
    return {"statusCode": int(status), "headers": headers, "body": json.dumps(body), "isBase64Encoded": False}
