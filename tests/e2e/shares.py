"""A share as the world sees it: every public address of it, and what a complete copy of a session is."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.waiting import PATIENCE, eventually

from .opencode import JsonObject, Session

GONE = (404, 410)
QUIET = 0.5  # seconds without a frame after which to look at what has come: a legacy replay has no end marker


@dataclass(frozen=True)
class Share:
    """The address of one share."""

    origin: str
    id: str

    @classmethod
    def at(cls, url: str) -> "Share":
        """The share that a client was given this URL for; fails unless `opencode import` would accept it."""
        parts = urlsplit(url)
        folder, _, share = parts.path.rpartition("/")
        assert folder == "/share", f"not a share link that `opencode import` accepts: {url}"
        return cls(f"{parts.scheme}://{parts.netloc}", share)

    @property
    def url(self) -> str:
        return f"{self.origin}/share/{self.id}"

    def addresses(self) -> list[str]:
        """Everything a reader may GET."""
        return [
            f"/share/{self.id}",
            f"/share/{self.id}.json",
            f"/share/{self.id}.md",
            f"/share/{self.id}/items?after=0",
            f"/share/{self.id}/items/1",
            f"/s/{self.id}",
            f"/api/share/{self.id}/data",
            f"/share_data?id={self.id}",
        ]

    def get(self, path: str) -> httpx.Response:
        return self._request("GET", path)

    def data(self) -> list[JsonObject]:
        """The current protocol's flat list of items, which `opencode import` reads."""
        response = self.get(f"/api/share/{self.id}/data")
        assert response.status_code == 200, f"data: {response.status_code} {response.text[:500]}"
        return response.json()

    def items(self) -> dict[str, Any]:
        """The data of each item by its identity key; fails when a key comes twice."""
        items = self.data()
        keyed = {key_of(item): item["data"] for item in items}
        assert len(keyed) == len(items), f"keys that come twice: {sorted(key_of(item) for item in items)}"
        return keyed

    def sync(self, secret: str, items: list[JsonObject]) -> httpx.Response:
        return self._request("POST", f"/api/share/{self.id}/sync", {"secret": secret, "data": items})

    def remove(self, secret: str) -> httpx.Response:
        return self._request("DELETE", f"/api/share/{self.id}", {"secret": secret})

    def read_as(self, headers: dict[str, str]) -> httpx.Response:
        """The flat list of items as a client with a login asks for it."""
        return self._request("GET", f"/api/shares/{self.id}/data", headers=headers)

    def _request(
        self, method: str, path: str, body: JsonObject | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        address = f"{self.origin}{path}"
        return httpx.request(
            method, address, json=body, headers=headers, timeout=30, follow_redirects=True, trust_env=False
        )

    @contextmanager
    def watch(self) -> Generator["LegacyViewer"]:
        """The legacy viewer's socket, `/share_poll`."""
        with _socket(f"{self.origin}/share_poll?id={self.id}") as socket:
            yield LegacyViewer(self, socket, {})

    def live_frames(self) -> list[str]:
        """Every frame of our live protocol from the first item up to `ready`."""
        frames: list[str] = []
        with _socket(f"{self.origin}/live") as socket:
            socket.send(json.dumps({"action": "resume", "share": self.id, "after": 0}))
            while not frames or json.loads(frames[-1])["type"] != "ready":
                frames.append(str(socket.recv(timeout=PATIENCE)))
        return frames


@dataclass(frozen=True)
class LegacyViewer:
    """A legacy viewer: the content it holds for each key, folded from the frames so far."""

    share: Share
    socket: ClientConnection
    contents: dict[str, JsonObject]

    def settle(self, quiet: float = QUIET) -> dict[str, JsonObject]:
        """Takes frames until none comes for `quiet` seconds; returns all contents by key."""
        while True:
            try:
                frame = json.loads(self.socket.recv(timeout=quiet))
            except TimeoutError:
                return self.contents
            self.contents[frame["key"]] = frame["content"] if "content" in frame else self._fetch(frame["href"])

    def wait_for(self, *keys: str) -> dict[str, JsonObject]:
        """Takes frames until the viewer holds these keys; returns all contents by key."""

        def held() -> dict[str, JsonObject]:
            contents = self.settle()
            assert contents.keys() >= set(keys)
            return contents

        return eventually(held)

    def _fetch(self, href: str) -> JsonObject:
        """The content of an item that is too large for a frame."""
        response = self.share.get(href)
        assert response.status_code == 200, f"{href}: {response.status_code} {response.text}"
        return response.json()["data"]

    def is_closed(self) -> bool:
        """Whether the server closes the socket; frames before that are taken and dropped."""
        try:
            while True:
                self.socket.recv(timeout=PATIENCE)
        except ConnectionClosed:
            return True
        except TimeoutError:
            return False


@contextmanager
def _socket(address: str) -> Generator[ClientConnection]:
    with connect(f"ws{address.removeprefix('http')}", open_timeout=20, max_size=2**20, proxy=None) as socket:
        yield socket


def refuses_viewers(share: Share) -> bool:
    """Whether a legacy viewer is turned away: at the handshake, or by closing the socket without a frame of content."""
    try:
        with share.watch() as viewer:
            while True:
                frame = json.loads(viewer.socket.recv(timeout=PATIENCE))
                if "content" in frame:
                    return False
    except (InvalidStatus, ConnectionClosed):
        return True
    except TimeoutError:
        return False


def key_of(item: JsonObject) -> str:
    """The identity of an item: the client replaces what it sent before under the same key."""
    kind, data = item["type"], item["data"]
    if kind == "message":
        return f"message/{data['id']}"
    if kind == "part":
        return f"part/{data['messageID']}/{data['id']}"
    return kind


def local_items(session: Session) -> dict[str, JsonObject]:
    """The session itself, its messages and their parts, by identity key, read from the client's own API."""
    items = {"session": session.info()}
    for message in session.messages():
        info = message["info"]
        items[f"message/{info['id']}"] = info
        items |= {f"part/{info['id']}/{part['id']}": part for part in message["parts"]}
    return items


def legacy_keys(session: Session, session_id: str) -> list[str]:
    """The keys of a whole session in the legacy protocol, where `session_id` stands for its id."""
    return [legacy_key(key, session_id) for key in local_items(session)]


def legacy_key(key: str, session_id: str) -> str:
    """The key under which the legacy protocol knows an item."""
    kind, _, rest = key.partition("/")
    return f"session/info/{session_id}" if kind == "session" else f"session/{kind}/{session_id}/{rest}"


def with_id(value: Any, old: str, new: str) -> Any:
    """The same JSON value with one session id written for another, wherever it stands."""
    return json.loads(json.dumps(value).replace(old, new))


def check_complete_copy(session: Session, share: Share) -> dict[str, Any]:
    """Fails unless the share holds exactly the session, item by item, but for the session's id.

    Returns all items of the share by identity key: those two that the local API does not give are among them, the
    models and the (always empty) session's diff.
    """
    copied = share.items()
    pseudonym = copied.get("session", {}).get("id", "")
    expected = with_id(local_items(session), session.id, pseudonym)
    assert copied.keys() - {"session_diff", "model"} == expected.keys()
    for key, data in expected.items():
        assert (key, copied[key]) == (key, data)
    return copied


def wait_for_complete_copy(session: Session, share: Share) -> dict[str, Any]:
    """The copy, once it is complete."""
    return eventually(lambda: check_complete_copy(session, share))


def check_gone(share: Share) -> None:
    """Fails unless every public address of the share denies that there is one."""
    answers = {path: share.get(path).status_code for path in share.addresses()}
    assert all(status in GONE for status in answers.values()), f"not gone everywhere: {answers}"
