"""The console plane stores and logs no secret that it issues or receives, so a dump contains no working secret.

A run creates every kind of secret. Then the test searches every value of every row of MySQL and DynamoDB, and every log
line of the functions, for each secret, also as base64, as hexadecimal and as part of a URL.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
from sqlalchemy import inspect, text

from opencode_cloud.kit.sql import Database
from tests.browsing import Browser
from tests.integration.publisher import new_session_id
from tests.waiting import PATIENCE

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
PUBLIC = "a-name-that-everybody-may-know"
"""A text that the search must find, so that the search itself is tested."""


@dataclass
class Run:
    """One person's use of every feature with a secret."""

    stack: Any
    browser: Browser
    email: str = field(default_factory=lambda: f"{secrets.token_hex(6)}@example.com")
    workspace: str = ""
    secrets: dict[str, str] = field(default_factory=dict)

    def post(self, path: str, body: dict[str, Any], method: str = "POST", **headers: str) -> Any:
        """Change an object of the workspace, as our pages do."""
        address = f"/api/v1/workspaces{f'/{self.workspace}/{path}' if path else ''}"
        sent = {"Sec-Fetch-Site": "same-origin", **headers}
        answer = self.browser.http.request(method, address, json=body, headers=sent)
        assert answer.is_success, f"{address}: {answer.status_code} {answer.text}"
        return answer.json()

    def sign_in(self) -> None:
        page = self.browser.open("/login")
        self.secrets["name of a browser"] = self.browser.http.cookies["opencode_browser"]
        page = self.browser.submit(page, "/login/email", email=self.email)
        found = re.search(r"\b(\d{4})\s?(\d{4})\b", self.stack.mailbox.wait(self.email).text)
        assert found
        self.secrets["sign-in code"] = found[1] + found[2]
        assert self.browser.submit(page, "/login/code", code=found[0]).path == "/"
        self.secrets["session cookie"] = self.browser.http.cookies["opencode_session"]
        self.workspace = self.post("", {"name": PUBLIC})["id"]

    def make_keys(self) -> None:
        once = {"Idempotency-Key": secrets.token_hex(16)}
        wish = {"name": "for a machine", "scopes": ["inference", "admin"]}
        made = self.post("keys", wish, **once)
        assert self.post("keys", wish, **once)["secret"] == made["secret"], "a repetition is answered alike"
        self.secrets["key"], self.secrets["idempotency key"] = made["secret"], once["Idempotency-Key"]
        self.secrets["rotated key"] = self.post(f"keys/{made['id']}/rotate", {})["secret"]
        machine = self.post("service-accounts", {"name": "machine"})["id"]
        self.secrets["machine's key"] = self.post("keys", {"name": "x", "service_account_id": machine})["secret"]

    def keep_credentials(self) -> None:
        for name in ("provider's key", "provider's new key"):
            self.secrets[name] = f"sk-ant-{secrets.token_hex(24)}"
        made = self.post("providers", {"provider": "anthropic", "secret": self.secrets["provider's key"]})
        self.post(f"providers/{made['id']}", {"secret": self.secrets["provider's new key"]}, "PUT")

    def invite(self) -> None:
        invited = f"{secrets.token_hex(6)}@example.com"
        self.post("invitations", {"email": invited, "role": "member"})
        links = re.findall(r"https?://\S+/invitations/\S+", self.stack.mailbox.wait(invited).text)
        tokens = re.findall(r"[A-Za-z0-9_-]{30,}", links[0])
        assert tokens
        self.secrets["invitation"] = tokens[-1]

    def let_a_device_in(self) -> None:
        device = httpx.Client(base_url=self.stack.url, timeout=PATIENCE)
        begun = device.post("/auth/device/code", json={"client_id": "opencode-cli"}).json()
        page = self.browser.open(f"/device?user_code={begun['user_code']}")
        self.browser.submit(page, "/device", decision="approve")
        asked = {"client_id": "opencode-cli", "grant_type": DEVICE_CODE, "device_code": begun["device_code"]}
        got = device.post("/auth/device/token", json=asked).json()
        refreshing = {"client_id": "opencode-cli", "grant_type": "refresh_token", "refresh_token": got["refresh_token"]}
        renewed = device.post("/auth/device/token", json=refreshing).json()
        self.secrets |= {
            "device code": begun["device_code"],
            "access token": got["access_token"].rpartition(".")[2],
            "refresh token": got["refresh_token"],
            "renewed access token": renewed["access_token"].rpartition(".")[2],
            "renewed refresh token": renewed["refresh_token"],
        }
        self._share(renewed["access_token"])

    def _share(self, token: str) -> None:
        session_id = new_session_id()
        headers = {"authorization": f"Bearer {token}", "x-org-id": self.workspace}
        made = httpx.post(
            f"{self.stack.url}/api/shares", json={"sessionID": session_id}, headers=headers, timeout=PATIENCE
        )
        assert made.is_success, made.text
        self.secrets |= {"share's secret": made.json()["secret"], "session id": session_id.removeprefix("ses_")}

    def authorize_a_client(self) -> None:
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {"response_type": "code", "client_id": "opencode-web", "redirect_uri": "http://127.0.0.1:9/callback"}
        asked |= {"state": "s", "code_challenge": challenge, "code_challenge_method": "S256"}
        page = self.browser.open(str(httpx.URL("/auth/authorize", params=asked)))
        sent = {**page.forms["/auth/authorize"].fields, "decision": "approve"}
        answer = self.browser.http.post("/auth/authorize", data=sent, headers={"Sec-Fetch-Site": "same-origin"})
        code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
        form = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
        form |= {"client_id": "opencode-web", "redirect_uri": "http://127.0.0.1:9/callback"}
        got = httpx.post(f"{self.stack.url}/auth/token", data=form, timeout=PATIENCE).json()
        self.secrets |= {
            "authorization code": code,
            "code verifier": verifier,
            "client's access token": got["access_token"].rpartition(".")[2],
            "client's refresh token": got["refresh_token"],
        }


@pytest.fixture(scope="module")
def run(stack: Any) -> Run:
    """Wait until all events of the run, and their consequences, are processed."""
    run = Run(stack, Browser(stack.url))
    run.sign_in()
    run.make_keys()
    run.keep_credentials()
    run.invite()
    run.let_a_device_in()
    run.authorize_a_client()
    time.sleep(2)  # queues, and the writing of logs
    return run


def forms(secret: str) -> list[bytes]:
    """Return the encodings in which a secret may be stored."""
    raw = secret.encode()
    packed = [base64.b64encode(raw[shift:])[4:-4] for shift in range(3)]
    return [raw, raw.hex().encode(), quote(secret, safe="").encode(), *(each for each in packed if len(each) > 12)]


def found(run: Run, held: list[bytes]) -> list[str]:
    """Return the names of the secrets that are in `held`."""
    assert all(len(secret) >= 8 for secret in run.secrets.values())
    everything = b"\0".join(held)
    return [name for name, secret in run.secrets.items() if is_in(everything, secret)]


def is_in(everything: bytes, secret: str) -> bool:
    if secret.isdigit():  # so short that longer numbers contain it by chance
        return re.search(rb"(?<![0-9A-Za-z])%s(?![0-9A-Za-z])" % secret.encode(), everything) is not None
    return any(form in everything for form in forms(secret))


def test_mysql_holds_none(stack: Any, run: Run) -> None:
    held = list(rows_of_mysql(stack))
    assert any(PUBLIC.encode() in each for each in held)
    assert found(run, held) == []


def test_dynamodb_holds_none(stack: Any, run: Run) -> None:
    held = list(rows_of_dynamodb(stack))
    assert any(PUBLIC.encode() in each for each in held)
    assert found(run, held) == []


def test_no_function_has_logged_any(stack: Any, run: Run) -> None:
    held = list(lines_of_logs(stack))
    assert any(b"MailSent" in each for each in held), "the functions' logs are being read"
    assert found(run, held) == []


def rows_of_mysql(stack: Any) -> Iterator[bytes]:
    """Yield every value of every table."""
    database = Database(stack.database.access.url())
    with database.transaction() as connection:
        for table in inspect(connection).get_table_names():
            for row in connection.execute(text(f"SELECT * FROM `{table}`")):
                yield from (value if isinstance(value, bytes) else str(value).encode() for value in row)
    database.dispose()


def rows_of_dynamodb(stack: Any) -> Iterator[bytes]:
    """Yield every value of every table, including values in lists and maps."""
    client = stack.client("dynamodb")
    for name in client.list_tables()["TableNames"]:
        for page in client.get_paginator("scan").paginate(TableName=name):
            for row in page["Items"]:
                yield str(row).encode()
                yield from (bytes(value["B"]) for value in row.values() if "B" in value)


def lines_of_logs(stack: Any) -> Iterator[bytes]:
    """Yield every log line of every function."""
    logs = stack.client("logs")
    for group in logs.get_paginator("describe_log_groups").paginate().search("logGroups[].logGroupName"):
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group):
            yield from (event["message"].encode() for event in page["events"])
