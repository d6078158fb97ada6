"""People, keys and workspaces in the planes without SQL: rows of the projection, as the relay writes them."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec

from opencode_cloud.access.credentials import hash_of_key, session_of_cookie
from opencode_cloud.contracts.access import EnforcedPolicy, KnownAccount, KnownKey, KnownMember, KnownWorkspace
from opencode_cloud.contracts.ids import AccountId, KeyId, MemberId, WorkspaceId
from opencode_cloud.identity.service.tokens import ALGORITHM, AUDIENCE, TYPE
from opencode_cloud.kit.ids import base64url, new_id


@dataclass(frozen=True)
class Person:
    """A person with an account, signed in with a browser and with a device."""

    account: str
    cookie: str
    token: str

    @property
    def browser(self) -> dict[str, str]:
        return {"cookie": f"opencode_session={self.cookie}"}

    def client(self, workspace: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}", "x-org-id": workspace}


@dataclass
class People:
    """Writes rows of the projection."""

    stack: Any
    versions: int = field(default_factory=lambda: time.time_ns() // 1000)

    def person(self) -> Person:
        account, cookie, device = new_id("acc"), secrets.token_urlsafe(32), new_id("sid")
        self._put(f"account#{account}", "ACCOUNT", KnownAccount(id=AccountId(account), email=f"{account}@example.com"))
        self._session(session_of_cookie(cookie), account, "web")
        self._session(device, account, "device")
        return Person(account, cookie, self._token(account, device))

    def workspace(self, **policy: Any) -> str:
        workspace = new_id("wrk")
        self.policy(workspace, **policy)
        return workspace

    def policy(self, workspace: str, **policy: Any) -> None:
        known = KnownWorkspace(id=WorkspaceId(workspace), name="Acme", policy=EnforcedPolicy(**policy))
        self._put(f"workspace#{workspace}", "WORKSPACE", known)

    def block(self, workspace: str) -> None:
        self._put(f"workspace#{workspace}", "WORKSPACE", None)

    def join(self, person: Person, workspace: str, role: str = "member") -> Person:
        known = KnownMember(
            id=MemberId(new_id("mem")),
            account_id=AccountId(person.account),
            workspace_id=WorkspaceId(workspace),
            role=role,
        )
        self._put(f"account#{person.account}", f"MEMBER#{workspace}", known)
        return person

    def member(self, workspace: str, role: str = "member") -> Person:
        return self.join(self.person(), workspace, role)

    def remove(self, person: Person, workspace: str) -> None:
        self._put(f"account#{person.account}", f"MEMBER#{workspace}", None)

    def sign_out(self, person: Person) -> None:
        self.stack.client("dynamodb").update_item(
            TableName=self.stack.outputs["SessionsTableName"],
            Key={"pk": {"S": f"session#{session_of_cookie(person.cookie)}"}},
            UpdateExpression="SET ended_at = :now",
            ExpressionAttributeValues={":now": {"N": str(int(time.time()))}},
        )

    def key(self, person: Person, workspace: str, *scopes: str) -> str:
        key = f"oc_sk_{base64url(secrets.token_bytes(32))}"
        known = KnownKey(
            id=KeyId(new_id("key")),
            workspace_id=WorkspaceId(workspace),
            account_id=AccountId(person.account),
            scopes=frozenset(scopes),
        )
        self._put(f"key#{hash_of_key(key).hex()}", "KEY", known)
        return key

    def revoke_key(self, key: str) -> None:
        self._put(f"key#{hash_of_key(key).hex()}", "KEY", None)

    def _put(self, pk: str, sk: str, value: Any) -> None:
        self.versions += 1
        row: dict[str, Any] = {"pk": {"S": pk}, "sk": {"S": sk}, "version": {"N": str(self.versions)}}
        if value is not None:
            row["value"] = {"S": msgspec.json.encode(value).decode()}
        self.stack.client("dynamodb").put_item(TableName=self.stack.outputs["AccessTableName"], Item=row)

    def _session(self, session: str, account: str, kind: str) -> None:
        row = {
            "pk": {"S": f"session#{session}"},
            "account_id": {"S": account},
            "kind": {"S": kind},
            "expires_at": {"N": str(int(time.time()) + 3600)},
        }
        self.stack.client("dynamodb").put_item(TableName=self.stack.outputs["SessionsTableName"], Item=row)

    def _token(self, account: str, session: str) -> str:
        arn = self._signing_key()
        now = int(time.time())
        header = {"alg": ALGORITHM, "kid": arn.rpartition("/")[2], "typ": TYPE}
        claims = {"iss": self.stack.url, "aud": AUDIENCE, "sub": account, "sid": session, "iat": now, "exp": now + 3600}
        signed = ".".join(base64url(msgspec.json.encode(part)) for part in (header, claims))
        signature = self.stack.client("kms").sign(
            KeyId=arn,
            Message=hashlib.sha256(signed.encode()).digest(),
            MessageType="DIGEST",
            SigningAlgorithm="RSASSA_PKCS1_V1_5_SHA_256",
        )["Signature"]
        return f"{signed}.{base64url(signature)}"

    def _signing_key(self) -> str:
        function = self.stack.client("lambda").get_function_configuration(
            FunctionName=self.stack.outputs["ShareFunctionName"]
        )
        return function["Environment"]["Variables"]["SIGNING_KEYS"].partition(",")[0]


@dataclass
class OwnedShare:
    """A share that belongs to a person in a workspace."""

    url: str
    owner: Person
    workspace: str
    id: str
    secret: str
    session_id: str

    def request(self, method: str, path: str, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        sent = dict(headers or {})
        name, _, value = sent.pop("cookie", "").partition("=")
        kept = {name: value} if name else None  # as a browser does, also over redirects
        with httpx.Client(base_url=self.url, timeout=60, follow_redirects=True, cookies=kept) as browser:
            return browser.request(method, path, headers=sent, **more)

    def sync(self, *items: dict[str, Any], resource: str = "shares") -> httpx.Response:
        headers = self.owner.client(self.workspace) if resource == "shares" else None
        body = {"secret": self.secret, "data": list(items)}
        return self.request("POST", f"/api/{resource}/{self.id}/sync", headers, json=body)

    def change(self, by: Person, **change: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {by.token}"}
        return self.request("PATCH", self.address, headers, json=change)

    @property
    def address(self) -> str:
        return f"/api/v1/workspaces/{self.workspace}/shares/{self.id}"


def share_as(stack: Any, owner: Person, workspace: str, session_id: str) -> OwnedShare:
    """Share a session as a member, as the client does."""
    headers = owner.client(workspace)
    made = httpx.post(f"{stack.url}/api/shares", headers=headers, json={"sessionID": session_id}, timeout=60)
    assert made.status_code == 200, made.text
    body = made.json()
    assert body["url"].endswith(f"/share/{body['id']}")
    return OwnedShare(stack.url, owner, workspace, body["id"], body["secret"], session_id)
