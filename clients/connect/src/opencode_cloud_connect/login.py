"""Log in by the device flow (RFC 8628): a person compares a code and approves in a browser."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from opencode_cloud_connect.errors import ConnectError
from opencode_cloud_connect.formats.values import as_object
from opencode_cloud_connect.http import Server, refusal

CLIENT_ID = "opencode-cli"
"""The server's client for programs without a browser."""
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
DEFAULT_INTERVAL = 5.0
"""Seconds between two polls where the server names none (RFC 8628, 3.2)."""
SLOWER = 5.0
"""Seconds added to the interval when the server asks for it (RFC 8628, 3.5)."""


@dataclass(frozen=True)
class Login:
    """A login. Its tokens stay in memory, and ``log_out`` ends it."""

    access_token: str
    refresh_token: str
    workspace_id: str
    """The workspace that the person chose in the browser; empty if the server offered no choice."""


def log_in(server: Server, say: Callable[[str], None], sleep: Callable[[float], None] = time.sleep) -> Login:
    """Ask for a code, tell it by ``say``, and wait until a person approves it.

    Raises ``login_denied``, ``login_expired``, or an error of the server.
    """
    begun = server.ask("POST", "/auth/device/code", {"client_id": CLIENT_ID, "supports_org_scope": True}, token="")
    address = begun.get("verification_uri_complete") or begun["verification_uri"]
    address = address if "://" in address else server.url + address
    say(f"Open {address}\nCompare the code {begun['user_code']}, and approve.")
    interval, ends = float(begun.get("interval") or DEFAULT_INTERVAL), time.monotonic() + float(begun["expires_in"])
    asked = {"client_id": CLIENT_ID, "grant_type": DEVICE_GRANT, "device_code": begun["device_code"]}
    while time.monotonic() < ends:
        sleep(interval)
        try:
            answer = server.call("POST", "/auth/device/token", asked)
        except ConnectError as error:
            if error.code != "unreachable":
                raise
            continue
        document = as_object(answer.document)
        if "access_token" in document:
            chosen = str(document.get("org_id") or "")
            return Login(document["access_token"], document.get("refresh_token", ""), chosen)
        match document.get("error"):
            case "authorization_pending":
                continue
            case "slow_down":
                interval += SLOWER
            case "access_denied":
                raise ConnectError("login_denied", "The login was denied in the browser.")
            case "expired_token":
                break
            case _:
                raise refusal(answer)
    raise ConnectError("login_expired", "The code expired before it was approved. Begin again.")


def log_out(server: Server, login: Login) -> None:
    """End a login at the server. Its keys stay valid."""
    token = login.refresh_token or login.access_token
    server.call("POST", "/auth/revoke", {"token": token, "client_id": CLIENT_ID})
