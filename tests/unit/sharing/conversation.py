"""Items of a session as opencode 1.18.33 publishes them, for rendering."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

SESSION = "ses_dfa12facaffe9CT4lEoCRhKTNh"
BEGIN = 1_795_395_749_173  # 2026-11-23 01:02 UTC
PIXEL = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(40)).decode()


@dataclass(frozen=True)
class Item:
    """An item as the renderers read it."""

    key: str
    type: str
    data: bytes
    seq: int = 1
    at: int = BEGIN
    body: str | None = None


def item(kind: str, data: Any, *, key: str = "", seq: int = 1, at: int = BEGIN) -> Item:
    """Return an item with the identity key of the clients' queue."""
    derived = {
        "message": lambda: f"message/{data['id']}",
        "part": lambda: f"part/{data['messageID']}/{data['id']}",
    }.get(kind, lambda: kind)
    return Item(key or derived(), kind, json.dumps(data).encode(), seq, at)


def session(**changes: Any) -> Item:
    data = {
        "id": SESSION,
        "slug": "crisp-sailor",
        "projectID": "a4d494cb",
        "directory": "/abs/path/proj",
        "path": "",
        "title": "twenty turns",
        "agent": "build",
        "version": "1.18.33",
        "summary": {"additions": 0, "deletions": 0, "files": 0},
        "cost": 0.74,
        "tokens": {"input": 741_951, "output": 720, "reasoning": 0, "cache": {"read": 0, "write": 0}},
        "time": {"created": BEGIN, "updated": BEGIN + 39_373},
    }
    return item("session", data | changes)


def model(**changes: Any) -> Item:
    return item("model", [{"id": "stub-1", "providerID": "stub", "name": "Stub One", "status": "active"} | changes])


def user(name: str = "msg_1", created: int = BEGIN, **changes: Any) -> Item:
    data = {
        "id": name,
        "sessionID": SESSION,
        "role": "user",
        "time": {"created": created},
        "agent": "build",
        "model": {"providerID": "stub", "modelID": "stub-1"},
    }
    return item("message", data | changes)


def assistant(name: str = "msg_2", created: int = BEGIN + 1_000, **changes: Any) -> Item:
    data = {
        "id": name,
        "sessionID": SESSION,
        "role": "assistant",
        "parentID": "msg_1",
        "mode": "build",
        "agent": "build",
        "path": {"cwd": "/abs/path/proj", "root": "/abs/path/proj"},
        "cost": 0.03257,
        "tokens": {"total": 32_550, "input": 32_530, "output": 20, "reasoning": 0, "cache": {"write": 0, "read": 0}},
        "modelID": "stub-1",
        "providerID": "stub",
        "time": {"created": created, "completed": created + 201},
        "finish": "stop",
    }
    return item("message", data | changes)


def part(message: str, name: str, kind: str, *, seq: int = 1, **data: Any) -> Item:
    return item("part", {"id": name, "sessionID": SESSION, "messageID": message, "type": kind, **data}, seq=seq)


def tool(message: str = "msg_2", name: str = "prt_t", *, tool: str = "bash", **state: Any) -> Item:
    completed = {
        "status": "completed",
        "input": {"command": "echo hi 1", "description": "say hi"},
        "output": "hi 1\n",
        "metadata": {"output": "hi 1\n", "exit": 0, "truncated": False},
        "title": "echo hi 1",
        "time": {"start": BEGIN, "end": BEGIN + 191},
    }
    return part(message, name, "tool", tool=tool, callID="call_ldOgoLTv", state=completed | state)


def conversation() -> list[Item]:
    """Return a short session with one item of each kind."""
    return [
        session(),
        model(),
        item("session_diff", [{"file": "f2.txt", "patch": "@@ -0,0 +1 @@\n+two", "additions": 1, "deletions": 0}]),
        user(),
        part("msg_1", "prt_1", "text", text="Write two files, please."),
        part("msg_1", "prt_2", "file", mime="image/png", filename="a.png", url=PIXEL),
        assistant(),
        part("msg_2", "prt_3", "step-start", snapshot="1ff9649c"),
        part("msg_2", "prt_4", "reasoning", text="First the one, then the other.", time={"start": BEGIN}),
        part("msg_2", "prt_5", "text", text="Here they are."),
        tool(name="prt_6"),
        part("msg_2", "prt_7", "patch", hash="1ff9649c", files=["/abs/path/proj/f2.txt"]),
        part("msg_2", "prt_8", "step-finish", reason="stop", cost=0.008102, tokens={}),
    ]
