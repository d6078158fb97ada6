"""The identity function over a real DynamoDB and KMS of the emulator, called as API Gateway calls it.

It needs no deployment, so tests can read the tables and change times in them. The tests in
`tests/e2e` go through the deployed stage.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from opencode_cloud.composition.identity import IdentityApp, IdentitySettings
from opencode_cloud.contracts.ids import AccountId, WorkspaceId
from opencode_cloud.kit.edge import behind_edge
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.lambda_handlers import frame
from opencode_cloud.kit.settings import load
from tests.emulator.functions import HOST, Reply, event, invoke
from tests.ministack import Emulator, pointed_at

ISSUER = f"https://{HOST}"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class Cloud:
    """The tables, the keys, and the function that uses them."""

    def __init__(self, emulator: Emulator, tables: Mapping[str, str], keys: list[str], queue: str) -> None:
        self.emulator = emulator
        self.tables = tables
        self.keys = keys
        self.queue = queue
        self.identity = IdentityApp(load(IdentitySettings))

    def call(self, method: str, path: str, body: str = "", **headers: str) -> Reply:
        return invoke(frame(behind_edge(self.identity.answer, lambda: PROOF)), event(method, path, body, headers))

    def post(self, path: str, document: Mapping[str, Any], address: str = "") -> Reply:
        return self.call("POST", path, json.dumps(document), **forwarded(address))

    def form(self, path: str, document: Mapping[str, str]) -> Reply:
        return self.call("POST", path, urlencode(document), content_type="application/x-www-form-urlencoded")

    def get(self, path: str, token: str = "") -> Reply:
        return self.call("GET", path, **({"authorization": f"Bearer {token}"} if token else {}))

    # ------------------------------------------------------------------------------------------ people

    def person(self, email: str = "ada@example.com", workspaces: tuple[str, ...] = ()) -> str:
        """Project an account, and workspaces of these names that it owns."""
        account = new_id("acc")
        self.project(f"account#{account}", "ACCOUNT", {"id": account, "email": email})
        for name in workspaces:
            workspace = new_id("wrk")
            member = {"id": new_id("mem"), "account_id": account, "workspace_id": workspace, "role": "owner"}
            self.project(f"workspace#{workspace}", "WORKSPACE", {"id": workspace, "name": name})
            self.project(f"account#{account}", f"MEMBER#{workspace}", member)
        return account

    def project(self, pk: str, sk: str, value: Any) -> None:
        item: dict[str, Any] = {"pk": {"S": pk}, "sk": {"S": sk}, "version": {"N": "1"}}
        item |= {"value": {"S": json.dumps(value)}} if value else {}
        self.emulator.client("dynamodb").put_item(TableName=self.tables["access"], Item=item)

    # ----------------------------------------------------------------------------------------- devices

    def begin(self, **more: Any) -> dict[str, Any]:
        return self.post("/auth/device/code", {"client_id": "opencode-cli", **more}).json

    def settle(self, user_code: str, account: str, *, approved: bool = True, workspace: str = "") -> None:
        self.identity.routes._oauth._services.devices.settle(
            user_code, AccountId(account), approved=approved, workspace_id=WorkspaceId(workspace)
        )

    def poll(self, device_code: str) -> Reply:
        asked = {"grant_type": DEVICE_GRANT, "device_code": device_code, "client_id": "opencode-cli"}
        return self.post("/auth/device/token", asked)

    def log_in(self, account: str) -> dict[str, Any]:
        begun = self.begin()
        self.settle(begun["user_code"], account)
        return self.poll(begun["device_code"]).json

    def refresh(self, token: str, client: str = "opencode-cli") -> Reply:
        asked = {"grant_type": "refresh_token", "refresh_token": token, "client_id": client}
        return self.post("/auth/device/token", asked)

    # ------------------------------------------------------------------------------------------- codes

    def authorize(self, account_id: AccountId | None, **changes: str) -> Any:
        """Answer an authorization request as the consent page does. An empty change omits a parameter."""
        asked = {"response_type": "code", "client_id": "opencode-web", "redirect_uri": CALLBACK, "state": "s1"}
        asked |= {"code_challenge": CHALLENGE, "code_challenge_method": "S256"} | changes
        parameters = {name: value for name, value in asked.items() if value}
        return self.identity.routes._oauth.authorize(asked_of(parameters), account_id)

    def code(self, account: str) -> str:
        return parse_qs(urlsplit(self.authorize(AccountId(account)).location).query)["code"][0]

    def exchange(self, given: str, /, **changes: str) -> Reply:
        asked = {"grant_type": "authorization_code", "code": given, "client_id": "opencode-web"}
        asked |= {"redirect_uri": CALLBACK, "code_verifier": VERIFIER} | changes
        return self.form("/auth/token", {name: value for name, value in asked.items() if value})

    # -------------------------------------------------------------------------------------------- rows

    def rows(self, prefix: str) -> list[dict[str, Any]]:
        found = self.emulator.client("dynamodb").scan(TableName=self.tables["sessions"])["Items"]
        return [row for row in found if row["pk"]["S"].startswith(prefix)]

    def audited(self) -> list[dict[str, Any]]:
        found = self.emulator.client("sqs").receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in found.get("Messages", [])]

    def change(self, pk: str, **values: int) -> None:
        self.emulator.client("dynamodb").update_item(
            TableName=self.tables["sessions"],
            Key={"pk": {"S": pk}},
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in values),
            ExpressionAttributeNames={f"#{name}": name for name in values},
            ExpressionAttributeValues={f":{name}": {"N": str(value)} for name, value in values.items()},
        )


CALLBACK = "http://127.0.0.1:43117/callback"
VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


def asked_of(parameters: Mapping[str, str]) -> Any:
    from opencode_cloud.identity.service.exchanges import OAuthRequest
    from opencode_cloud.identity.service.sessions import Origin

    origin = Origin("198.51.100.7", "test")
    return OAuthRequest(method="GET", issuer=ISSUER, path="/auth/authorize", parameters=parameters, origin=origin)


PROOF = "proof of the CDN"


def forwarded(address: str) -> dict[str, str]:
    """Return the headers of a request that the CDN forwards for a viewer."""
    return {"x_opencode_viewer": address, "x_opencode_origin": PROOF} if address else {}


@pytest.fixture(scope="module")
def cloud(emulator: Emulator) -> Iterator[Cloud]:
    """Create empty tables, keys, and the function that uses them."""
    mark = secrets.token_hex(4)
    tables = {name: emulator.create_table(name) for name in ("access", "sessions")}
    keys = [
        emulator.client("kms").create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
        for _ in range(2)
    ]
    secret = emulator.client("secretsmanager").create_secret(Name=f"key-{mark}", SecretString=secrets.token_hex(32))
    proof = emulator.client("secretsmanager").create_secret(Name=f"origin-{mark}", SecretString=PROOF)
    queue = emulator.client("sqs").create_queue(QueueName=f"audit-{mark}")["QueueUrl"]
    settings = {
        "AUDIT_QUEUE_URL": queue,
        "ACCESS_TABLE": tables["access"],
        "SESSIONS_TABLE": tables["sessions"],
        # Only the playground reads it.
        "USAGE_TABLE": "none",
        "SIGNING_KEYS": ",".join(keys),
        "DEPLOYMENT_KEY_SECRET": secret["ARN"],
        "ORIGIN_SECRET": proof["ARN"],
        "POWERTOOLS_SERVICE_NAME": "identity",
    }
    with pointed_at(emulator.url, **settings):
        yield Cloud(emulator, tables, keys, queue)
