"""People for tests over HTTP. Their accounts and sessions are written as signing in would write them.

They do everything else over HTTP: create workspaces, invite, accept, create keys.
"""

import json
import secrets
import time
from dataclasses import dataclass
from typing import Any

import httpx
from sqlalchemy import select

from local.stack import LocalStack
from opencode_cloud.access.credentials import session_of_cookie
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.sql import Database
from opencode_cloud.schema.identity import accounts
from tests.waiting import PATIENCE

HOUR = 3600


@dataclass(frozen=True)
class Person:
    """A person who is signed in by a browser's cookie."""

    email: str
    account: str
    session: str
    cookie: str
    http: httpx.Client
    """A client that sends the cookie, as our pages do."""

    def found(self, name: str = "Acme") -> str:
        """Create a workspace and return its id."""
        made = self.http.post("/api/v1/workspaces", json={"name": name})
        assert made.status_code == 201, made.text
        return made.json()["id"]

    def key(self, workspace: str, **wish: Any) -> str:
        """Create a key and return it."""
        made = self.http.post(f"/api/v1/workspaces/{workspace}/keys", json={"name": "test", **wish})
        assert made.status_code == 201, made.text
        return made.json()["secret"]


class People:
    """Creates people on a deployed stage."""

    def __init__(self, stack: LocalStack) -> None:
        self._stack = stack
        self._database = Database(stack.database.access.url())

    def somebody(self, email: str = "") -> Person:
        """Create a person who is signed in."""
        email = email or f"{secrets.token_hex(6)}@example.com"
        account, now = new_id("acc"), utc_now()
        row = {"id": account, "email": email, "name": "", "created_at": now, "updated_at": now}
        with self._database.transaction() as connection:
            connection.execute(accounts.insert(), row)
        known = {"id": account, "email": email, "name": ""}
        self._put(
            "AccessTableName",
            pk=f"account#{account}",
            sk="ACCOUNT",
            version=1,
            value=json.dumps(known),
        )
        return self._with_session(email, account)

    def signed_in(self, email: str) -> Person:
        """Sign in the person of an account that exists."""
        with self._database.transaction() as connection:
            account: str = connection.execute(select(accounts.c.id).where(accounts.c.email == email)).scalar_one()
        return self._with_session(email, account)

    def _with_session(self, email: str, account: str) -> Person:
        cookie = secrets.token_urlsafe(32)
        session, seconds = session_of_cookie(cookie), int(time.time())
        self._put(
            "SessionsTableName",
            pk=f"session#{session}",
            account_id=account,
            kind="web",
            created_at=seconds,
            seen_at=seconds,
            expires_at=seconds + HOUR,
            ttl=seconds + HOUR,
        )
        client = httpx.Client(
            base_url=self._stack.url,
            cookies={"opencode_session": cookie},
            headers={"Sec-Fetch-Site": "same-origin"},
            timeout=PATIENCE,
        )
        return Person(email, account, session, cookie, client)

    def joined(self, owner: Person, workspace: str, role: Role, email: str = "") -> Person:
        """Create a person whom ``owner`` invites and who accepts."""
        person = self.somebody(email)
        wish = {"email": person.email, "role": role}
        made = owner.http.post(f"/api/v1/workspaces/{workspace}/invitations", json=wish)
        assert made.status_code == 201, made.text
        accepted = person.http.post(f"/api/v1/invitations/{made.json()['id']}/accept")
        assert accepted.status_code == 200, accepted.text
        return person

    def with_key(self, key: str) -> httpx.Client:
        """Return a client that sends a key as bearer."""
        return httpx.Client(base_url=self._stack.url, headers={"Authorization": f"Bearer {key}"}, timeout=PATIENCE)

    def _put(self, table: str, **row: str | int) -> None:
        item = {name: {"N": str(value)} if isinstance(value, int) else {"S": value} for name, value in row.items()}
        self._stack.client("dynamodb").put_item(TableName=self._stack.outputs[table], Item=item)
