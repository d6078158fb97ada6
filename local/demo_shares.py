"""Shared sessions of the demo workspace, published over HTTP as a client does it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

SECONDS = 60.0
CONVERSATIONS: Mapping[str, Sequence[tuple[str, str]]] = {
    "Find the slow query on the checkout page": [
        ("user", "Checkout takes four seconds. Find out why."),
        (
            "assistant",
            "## Cause\n\nThe cart runs **one query per item**.\n\n```sql\nSELECT * FROM items WHERE id = ?\n```\n\n"
            "| items | before | after |\n|---|---|---|\n| 10 | 0.9 s | 0.1 s |\n| 50 | 4.2 s | 0.1 s |",
        ),
    ],
    "Write the release notes of 0.2": [
        ("user", "Summarize the commits since 0.1 for users."),
        ("assistant", "- The console shows *usage by project*.\n- Budgets reset on the first of the month."),
    ],
    "Make the flaky parser test deterministic": [
        ("user", "tests/test_parser.py fails one time in ten."),
        ("assistant", "The test depends on the order of a `set`. I sort it now, and the test passed 500 times."),
    ],
}
"""Messages by the title of their session: role and text."""


def publish(url: str, key: str) -> list[str]:
    """Share every conversation on the deployment at `url` as the holder of `key`; return the links.

    Raises:
        urllib.error.HTTPError: The deployment refused it.
    """
    return [_share(url, key, number, title, messages) for number, (title, messages) in enumerate(CONVERSATIONS.items())]


def _share(url: str, key: str, number: int, title: str, messages: Sequence[tuple[str, str]]) -> str:
    session = f"ses_demo{number:020}"
    made = _post(f"{url}/api/shares", key, {"sessionID": session})
    items: list[dict[str, Any]] = [{"type": "session", "data": {"id": session, "title": title}}]
    for place, (role, text) in enumerate(messages):
        message = f"msg_demo{number:04}{place:012}"
        told = {"id": message, "sessionID": session, "role": role, "time": {"created": 1_764_000_000_000 + place}}
        part = {"id": f"prt_demo{number:04}{place:012}", "messageID": message, "sessionID": session}
        items.append({"type": "message", "data": told})
        items.append({"type": "part", "data": {**part, "type": "text", "text": text}})
    share_id = made["url"].rsplit("/", 1)[1]
    _post(f"{url}/api/shares/{share_id}/sync", key, {"secret": made["secret"], "data": items})
    return made["url"]


def _post(url: str, key: str, body: Mapping[str, Any]) -> Any:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - our own
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310 - our own
        return json.loads(answer.read() or b"{}")
