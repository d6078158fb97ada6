"""The console in the test's process: all pages, their real services, the real database, and moto in place of AWS."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from opencode_cloud.access.credentials import session_of_cookie
from opencode_cloud.composition import console, control_plane, identity, share
from opencode_cloud.composition.services.budgets import budget_services
from opencode_cloud.contracts.actor import Actor, ActorKind, CredentialKind
from opencode_cloud.contracts.ids import AccountId, WorkspaceId
from opencode_cloud.contracts.permissions import KeyScope, Role
from opencode_cloud.keys.service import CreateKey
from opencode_cloud.kit.clock import now_seconds, utc_now
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.settings import load
from opencode_cloud.kit.sql import Database
from opencode_cloud.schema.identity import accounts
from opencode_cloud.usage.service import Ingest
from opencode_cloud.usage.store.ledger import Ledger
from tests.browsing import Page
from tests.unit.aws import Cloud, by_boto3
from tests.unit.composition.test_settings import environment_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opencode_cloud.budgets.models.documents import Budget
    from opencode_cloud.contracts.usage import SettledEvent
    from opencode_cloud.kit.lambda_handlers import Handler

HOST = "cloud.example"
HOUR = 3600


@dataclass(frozen=True)
class Answered:
    """An answer, with the members of one of httpx that :class:`tests.browsing.Page` reads."""

    status_code: int
    text: str
    headers: Mapping[str, str]
    path: str

    @property
    def url(self) -> Any:
        return SimpleNamespace(raw_path=self.path.encode())


class _People(dict[Role, Actor]):
    """A person of every role, who joins at the first use: most tests need few of them."""

    def __init__(self, office: Office) -> None:
        super().__init__({Role.OWNER: office.owner})
        self._office = office

    def __missing__(self, role: Role) -> Actor:
        self[role] = self._office.joined(role)
        return self[role]


class Office:
    """A workspace with a person of every role. All but the owner join when they are first needed."""

    def __init__(self, cloud: Cloud, database: Database, monkeypatch: pytest.MonkeyPatch, **more: str) -> None:
        """``more`` are settings of the function ``console``."""
        self.database = database
        self._cloud = cloud
        self.gateway_url = f"https://{HOST}"
        for table in ("access", "sessions", "budgets", "usage"):
            cloud.table(table)
        monkeypatch.setattr(control_plane, "connect", lambda _: database)
        created: Any = by_boto3("kms").create_key()
        values = {
            "ACCESS_TABLE": "access",
            "SESSIONS_TABLE": "sessions",
            "BUDGETS_TABLE": "budgets",
            "USAGE_TABLE": "usage",
            "EXPORTS_BUCKET": cloud.bucket("exports"),
            "CREDENTIALS_KEY": created["KeyMetadata"]["Arn"],
            "LOGIN_METHODS": json.dumps({"email": {}}),
            "PUBLIC_URL": f"https://{HOST}",
            "CHECK_MAIL_DOMAINS": "0",
            **{f"{name}_QUEUE_URL": cloud.queue(name) for name in ("MAIL", "RELAY", "EXPORTS")},
            **{
                f"{name}_SECRET": by_boto3("secretsmanager").create_secret(Name=name, SecretString="s")["ARN"]
                for name in ("DEPLOYMENT_KEY", "ORIGIN")
            },
            "LOGIN_SECRETS": by_boto3("secretsmanager").create_secret(Name="LOGIN", SecretString="{}")["ARN"],
        }
        self.values = values
        environment = {**environment_of(console.ConsoleSettings), **values, **more}
        settings = load(console.ConsoleSettings, environment)
        self.plane = control_plane.ControlPlane(settings)
        self.team = control_plane.workspaces(self.plane, settings, credentials_key=settings.credentials_key)
        self.budgets = budget_services(
            database, self.plane.outbox, self.plane.deployment_key, settings.budgets_table, private_webhooks=False
        )
        self._handle = console.build(settings)
        self.owner = self.person()
        self.workspace = self.team.workspaces.create(self.owner, "Acme").id
        self.people = _People(self)
        self.base = f"/console/{self.workspace}"

    def person(self, email: str = "") -> Actor:
        """Create a person who is signed in; the actor's ``session_id`` is the value of the browser's cookie."""
        account, now, email = new_id("acc"), utc_now(), email or f"{secrets.token_hex(4)}@example.com"
        row = {"id": account, "email": email, "name": "", "created_at": now, "updated_at": now}
        with self.database.transaction() as connection:
            connection.execute(accounts.insert(), row)
        known = json.dumps({"id": account, "email": email, "name": ""})
        _put("access", pk=f"account#{account}", sk="ACCOUNT", version=1, value=known)
        cookie = secrets.token_urlsafe(32)
        at = {"created_at": now_seconds(), "seen_at": now_seconds(), "expires_at": now_seconds() + HOUR}
        _put("sessions", pk=f"session#{session_of_cookie(cookie)}", account_id=account, kind="web", **at, ttl=2**31)
        return Actor(
            kind=ActorKind.ACCOUNT,
            credential=CredentialKind.SESSION,
            id=account,
            name=email,
            account_id=AccountId(account),
            session_id=cookie,  # pyright: ignore[reportArgumentType]: a cookie, not the session's id
        )

    def fill(self) -> None:
        """Have the person of every role join."""
        for role in Role:
            assert self.people[role]

    def acting(self, person: Actor, workspace: str = "") -> Actor:
        """Return the actor of a person in the workspace, as services take it."""
        workspace_id = WorkspaceId(workspace or self.workspace)
        mine = {each.id: each for each in self.team.workspaces.memberships(person.account_id)}[workspace_id]
        return Actor(
            kind=ActorKind.MEMBER,
            credential=CredentialKind.SESSION,
            id=mine.member_id,
            name=person.name,
            account_id=person.account_id,
            workspace_id=workspace_id,
            role=mine.role,
        )

    def plane_budgets(self) -> Sequence[Budget]:
        """Return the budgets of the workspace."""
        return self.budgets.budgets.of_workspace(self.acting(self.owner), self.workspace)

    def ingest(self, entries: Sequence[SettledEvent]) -> None:
        """Record model calls, as the function `ledger` does."""
        Ingest(Ledger(self.database)).take(entries)

    def joined(self, role: Role) -> Actor:
        """Create a person, and make them a member."""
        person, by = self.person(), self.acting(self.owner)
        invitation = self.team.invitations.invite(by, by.workspace_id, person.name, role)
        self.team.invitations.accept(person, invitation.id)
        return person

    def browser(self, who: Role | Actor | None) -> InProcessBrowser:
        """Return the browser of a role's person; None: of a person who is not signed in."""
        return InProcessBrowser(self, self.people[who] if isinstance(who, Role) else who)

    def answer(self, event: dict[str, Any]) -> dict[str, Any]:
        """Answer an event of the HTTP API, by the function that serves its path (infra/routes.py)."""
        path, serves = event["rawPath"], self._handle
        if path.startswith("/api/share") or path.split("/")[3:4] == ["shares"]:
            serves = self.share
        elif path.split("/")[3:4] == ["playground"]:
            serves = self.identity
        return serves(event, SimpleNamespace(aws_request_id="request"))

    @cached_property
    def share(self) -> Handler:
        """The function `share`."""
        self._cloud.table("shares")
        values = {**self.values, "SHARES_TABLE": "shares", "SHARES_BUCKET": self._cloud.bucket("shares")}
        values |= {f"{name}_QUEUE_URL": self._cloud.queue(name) for name in ("PURGE", "AUDIT")}
        values["SESSION_KEY_SECRET"] = self.values["DEPLOYMENT_KEY_SECRET"]
        return share.build(load(share.ShareSettings, {**environment_of(share.ShareSettings), **values}))

    @cached_property
    def identity(self) -> Handler:
        """The function `identity`, with the gateway at `gateway_url`."""
        signing: Any = by_boto3("kms").create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")
        values = {**self.values, "SIGNING_KEYS": signing["KeyMetadata"]["Arn"]}
        values |= {"AUDIT_QUEUE_URL": self._cloud.queue("AUDIT"), "PUBLIC_URL": self.gateway_url}
        return identity.build(load(identity.IdentitySettings, {**environment_of(identity.IdentitySettings), **values}))

    def shared(self, person: Actor, title: str = "") -> str:
        """Share a session of a person, as their client does; return the share's id."""
        acting = self.acting(person)
        key = self.team.keys.create(acting, self.workspace, CreateKey(name="client", scopes=[*KeyScope]))
        session = f"ses_{secrets.token_hex(8)}"
        made = self.send(key.secret, "/api/shares", {"sessionID": session})
        share_id = made["url"].rsplit("/", 1)[1]
        info = {"type": "session", "data": {"id": session, "title": title}}
        self.send(key.secret, f"/api/shares/{share_id}/sync", {"secret": made["secret"], "data": [info]})
        return share_id

    def send(self, key: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Post JSON with a key, and return the answer."""
        event = {
            "version": "2.0",
            "rawPath": path,
            "rawQueryString": "",
            "headers": {"authorization": f"Bearer {key}", "content-type": "application/json"},
            "body": json.dumps(body),
            "isBase64Encoded": False,
            "requestContext": {
                "http": {"method": "POST", "path": path, "sourceIp": "203.0.113.7"},
                "stage": "$default",
                "requestId": "request",
                "domainName": HOST,
                "timeEpoch": now_seconds() * 1000,
            },
        }
        answer = self.answer(event)
        assert answer["statusCode"] < 300, answer
        return json.loads(answer["body"] or "{}")


class InProcessBrowser:
    """A person's browser: it sends a cookie and the headers of a browser."""

    def __init__(self, office: Office, person: Actor | None) -> None:
        self._office = office
        self.cookie = person.session_id if person else ""
        self.accepts = "en"
        """The languages of the browser, as it sends them."""
        self.language = ""
        """The cookie of the language that the person chose."""

    def go(
        self,
        path: str,
        fields: Mapping[str, str] | None = None,
        site: str = "same-origin",
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> Answered:
        """Open a page, or with ``fields`` send a form, without following redirects. ``headers`` are sent too."""
        parts, method = urlsplit(path), "GET" if fields is None else "POST"
        cookies = [f"__Host-opencode_session={self.cookie}"] if self.cookie else []
        cookies += [f"__Host-opencode_language={self.language}"] if self.language else []
        event: dict[str, Any] = {
            "version": "2.0",
            "rawPath": parts.path,
            "rawQueryString": parts.query,
            "queryStringParameters": dict(parse_qsl(parts.query, keep_blank_values=True)),
            "headers": {
                "host": HOST,
                "sec-fetch-site": site,
                "user-agent": "Firefox/145.0",
                "accept": "text/html",
                "accept-language": self.accepts,
                **headers,
            },
            "cookies": cookies,
            "body": None if fields is None else urlencode(fields, doseq=True),
            "isBase64Encoded": False,
            "requestContext": {
                "http": {"method": method, "path": parts.path, "sourceIp": "203.0.113.7"},
                "stage": "$default",
                "requestId": "request",
                "domainName": HOST,
            },
        }
        answer = self._office.answer(event)
        headers = {**answer.get("headers", {})}
        headers |= {name: values[0] for name, values in answer.get("multiValueHeaders", {}).items()}
        named = {name.lower(): value for name, value in headers.items()}
        return Answered(answer["statusCode"], answer.get("body") or "", named, path)

    def open(self, path: str) -> Page:
        """Open a page, and follow redirects."""
        return self._follow(self.go(path))

    def submit(self, page: Page, action: str, **fields: Any) -> Page:
        """Fill in a form of ``page``, send it, and follow redirects."""
        form = page.forms[action]
        filled = {**form.fields, **fields}
        return self._follow(
            self.go(f"{action}?{urlencode(filled)}") if form.method == "GET" else self.go(action, filled)
        )

    def _follow(self, answer: Answered) -> Page:
        for _ in range(8):
            if answer.status_code not in {301, 302, 303}:
                break
            answer = self.go(answer.headers["location"])
        return Page(answer)  # pyright: ignore[reportArgumentType]: it has what a page reads


def _put(table: str, **row: str | int) -> None:
    item = {name: {"N": str(value)} if isinstance(value, int) else {"S": value} for name, value in row.items()}
    by_boto3("dynamodb").put_item(TableName=table, Item=item)
