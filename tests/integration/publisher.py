"""A publisher for tests of the clients' plain HTTP, including status codes."""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass
from typing import Any

import httpx


def new_session_id() -> str:
    """Return a session id of the clients' form."""
    return f"ses_{secrets.token_hex(6)}{''.join(secrets.choice(string.ascii_letters) for _ in range(14))}"


def part(name: str, text: str = "", message: str = "msg_1", **more: Any) -> dict[str, Any]:
    return {"type": "part", "data": {"id": f"prt_{name}", "messageID": message, "type": "text", "text": text, **more}}


def message(name: str, session_id: str = "") -> dict[str, Any]:
    return {
        "type": "message",
        "data": {"id": f"msg_{name}", "sessionID": session_id, "role": "user", "time": {"created": 1}},
    }


def session(session_id: str, title: str = "a title") -> dict[str, Any]:
    return {
        "type": "session",
        "data": {"id": session_id, "slug": "s", "title": title, "version": "1", "time": {"created": 1}},
    }


@dataclass
class Publisher:
    """One shared session."""

    http: httpx.Client
    session_id: str
    id: str
    secret: str
    url: str

    @classmethod
    def create(cls, url: str, session_id: str | None = None) -> Publisher:
        http = httpx.Client(base_url=url, timeout=60, follow_redirects=True)
        session_id = session_id or new_session_id()
        made = http.post("/api/share", json={"sessionID": session_id})
        made.raise_for_status()
        return cls(http, session_id, **made.json())

    def sync(self, *items: dict[str, Any], secret: str | None = None) -> httpx.Response:
        body = {"secret": self.secret if secret is None else secret, "data": list(items)}
        return self.http.post(f"/api/share/{self.id}/sync", json=body)

    def must_sync(self, *items: dict[str, Any]) -> int:
        response = self.sync(*items)
        assert response.status_code == 200, response.text
        return response.json()["seq"]

    def data(self) -> list[dict[str, Any]]:
        response = self.http.get(f"/api/share/{self.id}/data")
        assert response.status_code == 200, response.text
        return response.json()

    def items(self, after: int = 0) -> dict[str, Any]:
        response = self.http.get(f"/share/{self.id}/items", params={"after": after})
        assert response.status_code == 200, response.text
        return response.json()

    def all_items(self) -> dict[str, dict[str, Any]]:
        """Return each item by its key, for a reader of all documents from the first to the end.

        The last arrival of a key wins, even if an earlier arrival was committed after it.
        """
        found: dict[str, dict[str, Any]] = {}
        cursor, more = 0, True
        while more:
            document = self.items(cursor)
            for item in document["items"]:
                present = found.get(item["key"], item)
                found[item["key"]] = max(present, item, key=lambda each: (each["at"], each["seq"]))
            cursor, more = document["seq"], document["more"]
        return found

    def delete(self) -> httpx.Response:
        return self.http.request("DELETE", f"/api/share/{self.id}", json={"secret": self.secret})
