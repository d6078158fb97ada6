"""A share as readers see it: its public URLs, and the comparison with a whole session."""

import json
import re
from collections.abc import Callable, Generator
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
QUIET = 0.5  # seconds without a frame that end a legacy replay, which has no end marker


@dataclass(frozen=True)
class Share:
    """The URL of one share."""

    origin: str
    id: str

    @classmethod
    def at(cls, url: str) -> "Share":
        """Return the share of a URL that a client got; fails unless `opencode import` would accept the URL."""
        parts = urlsplit(url)
        folder, _, share = parts.path.rpartition("/")
        assert folder == "/share", f"not a share link that `opencode import` accepts: {url}"
        return cls(f"{parts.scheme}://{parts.netloc}", share)

    @property
    def url(self) -> str:
        return f"{self.origin}/share/{self.id}"

    def addresses(self) -> list[str]:
        """Return every URL that a reader may GET."""
        return [
            f"/share/{self.id}",
            f"/share/{self.id}.json",
            f"/share/{self.id}.md",
            f"/share/{self.id}/messages",
            f"/share/{self.id}/prompts",
            f"/share/{self.id}/search?q=words",
            f"/share/{self.id}/items?after=0",
            f"/share/{self.id}/items/1",
            f"/s/{self.id}",
            f"/api/share/{self.id}/data",
            f"/share_data?id={self.id}",
        ]

    def get(self, path: str) -> httpx.Response:
        return self._request("GET", path)

    def data(self) -> list[JsonObject]:
        """Return the current protocol's flat list of items, which `opencode import` reads."""
        response = self.get(f"/api/share/{self.id}/data")
        assert response.status_code == 200, f"data: {response.status_code} {response.text[:500]}"
        return response.json()

    def items(self) -> dict[str, Any]:
        """Return the data of each item by its identity key, as viewers get it."""
        newest: dict[str, JsonObject] = {}
        cursor, more = 0, True
        while more:
            response = self.get(f"/share/{self.id}/items?after={cursor}")
            assert response.status_code == 200, f"items: {response.status_code} {response.text[:500]}"
            document = response.json()
            for item in document["items"]:
                present = newest.get(item["key"], item)
                newest[item["key"]] = max(present, item, key=lambda each: (each["at"], each["seq"]))
            cursor, more = document["seq"], document["more"]
        return {key: item["data"] if "data" in item else self._referenced(item) for key, item in newest.items()}

    def _referenced(self, item: JsonObject) -> Any:
        """Return the data of an item that is too large for the document."""
        return self.get(item["href"]).json()["data"]

    def sync(self, secret: str, items: list[JsonObject]) -> httpx.Response:
        return self._request("POST", f"/api/share/{self.id}/sync", {"secret": secret, "data": items})

    def remove(self, secret: str) -> httpx.Response:
        return self._request("DELETE", f"/api/share/{self.id}", {"secret": secret})

    def read_as(self, headers: dict[str, str]) -> httpx.Response:
        """Return the flat list of items as a client with a login reads it."""
        return self._request("GET", f"/api/shares/{self.id}/data", headers=headers)

    def _request(
        self, method: str, path: str, body: JsonObject | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        address = f"{self.origin}{path}"
        return httpx.request(
            method, address, json=body, headers=headers, timeout=PATIENCE, follow_redirects=True, trust_env=False
        )

    @contextmanager
    def watch(self) -> Generator["LegacyViewer"]:
        """Open the legacy viewer's socket, `/share_poll`."""
        with _socket(f"{self.origin}/share_poll?id={self.id}") as socket:
            yield LegacyViewer(self, socket, {})

    def live_frames(self) -> list[str]:
        """Return every frame of the live protocol from the first item up to `ready`."""
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
        """Receive frames until none comes for `quiet` seconds; return all contents by key."""
        while True:
            try:
                frame = json.loads(self.socket.recv(timeout=quiet))
            except TimeoutError:
                return self.contents
            self.contents[frame["key"]] = frame["content"] if "content" in frame else self._fetch(frame["href"])

    def wait_for(self, *keys: str) -> dict[str, JsonObject]:
        """Receive frames until the viewer holds these keys; return all contents by key."""

        def held() -> dict[str, JsonObject]:
            contents = self.settle()
            assert contents.keys() >= set(keys)
            return contents

        return eventually(held)

    def _fetch(self, href: str) -> JsonObject:
        """Return the content of an item that is too large for a frame."""
        response = self.share.get(href)
        assert response.status_code == 200, f"{href}: {response.status_code} {response.text}"
        return response.json()["data"]

    def is_closed(self) -> bool:
        """Tell whether the server closes the socket. Earlier frames are discarded."""
        try:
            while True:
                self.socket.recv(timeout=PATIENCE)
        except ConnectionClosed:
            return True
        except TimeoutError:
            return False


@contextmanager
def _socket(address: str) -> Generator[ClientConnection]:
    with connect(f"ws{address.removeprefix('http')}", open_timeout=PATIENCE, max_size=2**20, proxy=None) as socket:
        yield socket


def refuses_viewers(share: Share) -> bool:
    """Tell whether a legacy viewer is refused: at the handshake, or by a close before any content."""
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
    """Return the identity of an item. The client replaces an item by sending another one with the same key."""
    kind, data = item["type"], item["data"]
    if kind == "message":
        return f"message/{data['id']}"
    if kind == "part":
        return f"part/{data['messageID']}/{data['id']}"
    return kind


def local_items(session: Session) -> dict[str, JsonObject]:
    """Return the session, its messages and their parts from the client's own API, by identity key."""
    items = {"session": session.info()}
    for message in session.messages():
        info = message["info"]
        items[f"message/{info['id']}"] = info
        items |= {f"part/{info['id']}/{part['id']}": part for part in message["parts"]}
    return items


def legacy_keys(session: Session, session_id: str) -> list[str]:
    """Return the keys of a whole session in the legacy protocol, with `session_id` as its id."""
    return [legacy_key(key, session_id) for key in local_items(session)]


def legacy_key(key: str, session_id: str) -> str:
    """Return the key of an item in the legacy protocol."""
    kind, _, rest = key.partition("/")
    return f"session/info/{session_id}" if kind == "session" else f"session/{kind}/{session_id}/{rest}"


def with_id(value: Any, old: str, new: str) -> Any:
    """Return the same JSON value with one session id replaced by another everywhere."""
    return json.loads(json.dumps(value).replace(old, new))


def without_ids(value: Any) -> Any:
    """Return the same JSON value with each id of a session, message or part replaced by its number of appearance."""
    numbers: dict[str, str] = {}
    id_form = r"(ses|msg|prt)_[0-9a-f]{12}[0-9A-Za-z]{14}"
    return json.loads(
        re.sub(id_form, lambda match: numbers.setdefault(match[0], f"{match[1]}_{len(numbers)}"), json.dumps(value))
    )


def check_complete_copy(
    session: Session, share: Share, sent: Callable[[str, Any], Any] = lambda _key, data: data
) -> dict[str, Any]:
    """Fail unless the share holds exactly the session, item by item, except for the session's id.

    ``sent`` returns the part of an item that the client surely sends, for clients that do not send all of it.

    Return all items of the share by identity key. They include two items that the local API does not return: the
    models and the session's diff, which is always empty.
    """
    copied = share.items()
    pseudonym = copied.get("session", {}).get("id", "")
    expected = with_id(local_items(session), session.id, pseudonym)
    assert copied.keys() - {"session_diff", "model"} == expected.keys()
    for key, data in expected.items():
        assert (key, sent(key, copied[key])) == (key, sent(key, data))
    return copied


def wait_for_complete_copy(session: Session, share: Share) -> dict[str, Any]:
    """Wait until the copy is complete, and return it."""
    return eventually(lambda: check_complete_copy(session, share))


def check_gone(share: Share) -> None:
    """Fail unless every public URL of the share answers that it is gone."""
    answers = {path: share.get(path).status_code for path in share.addresses()}
    assert all(status in GONE for status in answers.values()), f"not gone everywhere: {answers}"
