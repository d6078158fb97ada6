"""A sync plane without a deployment: its tables, bucket and queues, and execution environments over them."""

from __future__ import annotations

import json
import secrets
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from opencode_cloud.access.credentials import KEY_PREFIX, hash_of_key, session_of_cookie
from opencode_cloud.access.models import Known, ProjectionKey, ProjectionKind
from opencode_cloud.access.service import Access, AccessRequest
from opencode_cloud.access.store import AccessStore
from opencode_cloud.audit.audit_queue import AuditQueue
from opencode_cloud.contracts.access import EnforcedPolicy, KnownAccount, KnownKey, KnownMember, KnownWorkspace
from opencode_cloud.contracts.actor import Actor
from opencode_cloud.contracts.ids import AccountId, ClientSessionId, ConnectionId, KeyId, MemberId, ShareId, WorkspaceId
from opencode_cloud.contracts.permissions import KeyScope
from opencode_cloud.kit.clock import now_ms, now_seconds
from opencode_cloud.kit.content_codings import Coding, unpack
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.sockets import Sockets
from opencode_cloud.sharing.deliveries import Deliveries
from opencode_cloud.sharing.models import Item, Protocol, RedactionMode, Share, ShareCredentials, ShareUpdate, Viewer
from opencode_cloud.sharing.protocol.items import parse
from opencode_cloud.sharing.purges import Purges
from opencode_cloud.sharing.service.access import ShareAccess, Visitor
from opencode_cloud.sharing.service.deletion import ShareDeletion
from opencode_cloud.sharing.service.fan_out import FanOut
from opencode_cloud.sharing.service.hubs import NO_HUBS, Hubs
from opencode_cloud.sharing.service.owning import Owning
from opencode_cloud.sharing.service.publishing import Publishing
from opencode_cloud.sharing.service.reading import Redirect, ShareDocument, ShareReader
from opencode_cloud.sharing.service.redaction import SecretRedaction
from opencode_cloud.sharing.service.rescan import Rescan
from opencode_cloud.sharing.service.snapshots import Snapshots
from opencode_cloud.sharing.service.viewing import Viewing, join
from opencode_cloud.sharing.store import ConnectionStore, ObjectStore, ShareStore, Tasks
from tests.emulator.sharing.gateway import Gateway, Socket
from tests.emulator.sharing.steering import Steering
from tests.integration.publisher import new_session_id
from tests.ministack import Emulator

ADDRESS = "192.0.2.1"
DEPLOYMENT_KEY = "k" * 43
Published = dict[str, Any]


@dataclass(frozen=True)
class Person:
    """A person with an account, a browser's session, and a key in one workspace."""

    account: str
    cookie: str
    key: str

    @property
    def browser(self) -> AccessRequest:
        return AccessRequest(cookie=self.cookie)


class People:
    """Rows of the projection, as the relay writes them."""

    def __init__(self, emulator: Emulator, access: str, sessions: str) -> None:
        self._client = emulator.client("dynamodb")
        self._access = access
        self._sessions = sessions

    def workspace(self, **policy: Any) -> str:
        workspace = new_id("wrk")
        self.policy(workspace, **policy)
        return workspace

    def policy(self, workspace: str, **policy: Any) -> None:
        known = KnownWorkspace(id=WorkspaceId(workspace), name="Acme", policy=EnforcedPolicy(**policy))
        self._put(ProjectionKey(ProjectionKind.WORKSPACE, workspace), known)

    def member(self, workspace: str, role: str = "member") -> Person:
        person = Person(new_id("acc"), secrets.token_urlsafe(32), KEY_PREFIX + secrets.token_urlsafe(32))
        self._put(
            ProjectionKey(ProjectionKind.ACCOUNT, person.account),
            KnownAccount(id=AccountId(person.account), email="ada@example.com"),
        )
        self._session(session_of_cookie(person.cookie), {"account_id": {"S": person.account}, "kind": {"S": "web"}})
        self.join(person, workspace, role)
        scopes = frozenset({KeyScope.INFERENCE, KeyScope.ADMIN})
        known = KnownKey(
            id=KeyId(new_id("key")),
            workspace_id=WorkspaceId(workspace),
            account_id=AccountId(person.account),
            scopes=scopes,
        )
        self._put(ProjectionKey(ProjectionKind.KEY, hash_of_key(person.key).hex()), known)
        return person

    def join(self, person: Person, workspace: str, role: str) -> None:
        known = KnownMember(
            id=MemberId(new_id("mem")),
            account_id=AccountId(person.account),
            workspace_id=WorkspaceId(workspace),
            role=role,
        )
        self._put(ProjectionKey(ProjectionKind.MEMBER, "", WorkspaceId(workspace), AccountId(person.account)), known)

    def remove(self, person: Person, workspace: str) -> None:
        self._put(ProjectionKey(ProjectionKind.MEMBER, "", WorkspaceId(workspace), AccountId(person.account)), None)

    def sign_out(self, person: Person) -> None:
        self._session(session_of_cookie(person.cookie), {"ended_at": {"N": "1"}})

    def _session(self, session_id: str, values: dict[str, Any]) -> None:
        row = {"pk": {"S": f"session#{session_id}"}, "expires_at": {"N": str(now_seconds() + 3600)}, **values}
        self._client.put_item(TableName=self._sessions, Item=row)

    def _put(self, place: ProjectionKey, known: Known | None) -> None:
        pk, sk = place.row
        row: dict[str, Any] = {"pk": {"S": pk}, "sk": {"S": sk}, "version": {"N": "1"}}
        row |= {} if known is None else {"value": {"S": msgspec.json.encode(known).decode()}}
        self._client.put_item(TableName=self._access, Item=row)


class Plane:
    """Empty tables, a bucket and queues, created at their first use; and direct reads of them."""

    def __init__(self, emulator: Emulator, gateway: Gateway) -> None:
        self.emulator = emulator
        self.gateway = gateway
        self.deliver = f"deliver-{secrets.token_hex(4)}"

    @cached_property
    def shares(self) -> str:
        return self.emulator.create_table("shares")

    @cached_property
    def connections(self) -> str:
        return self.emulator.create_table("connections")

    @cached_property
    def access(self) -> str:
        return self.emulator.create_table("access")

    @cached_property
    def sessions(self) -> str:
        return self.emulator.create_table("sessions")

    @cached_property
    def bucket(self) -> str:
        """Create a versioned bucket, as ``infra/stacks/data.py`` deploys it."""
        name, client = f"bodies-{secrets.token_hex(4)}", self.emulator.client("s3")
        client.create_bucket(Bucket=name)
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    @cached_property
    def purges(self) -> str:
        return self._queue("purges")

    @cached_property
    def audit(self) -> str:
        return self._queue("audit")

    def _queue(self, name: str) -> str:
        return self.emulator.client("sqs").create_queue(QueueName=f"{name}-{secrets.token_hex(4)}")["QueueUrl"]

    @cached_property
    def people(self) -> People:
        return People(self.emulator, self.access, self.sessions)

    def rows(self, share_id: str, prefix: str = "") -> list[dict[str, Any]]:
        """Return the rows of a share's partition whose sort key begins with ``prefix``."""
        found = self.emulator.rows(self.shares)
        return [row for row in found if row["pk"]["S"] == share_id and row["sk"]["S"].startswith(prefix)]

    def objects(self, share_id: str, folder: str = "") -> list[str]:
        """Return the names of a share's objects, one for each version and delete marker."""
        found = self.emulator.client("s3").list_object_versions(
            Bucket=self.bucket, Prefix=f"shares/{share_id}/{folder}"
        )
        entries = [*found.get("Versions", []), *found.get("DeleteMarkers", [])]
        return [entry["Key"].removeprefix(f"shares/{share_id}/") for entry in entries]

    def stored(self) -> Iterator[bytes]:
        """Yield everything that tables and bucket hold, decompressed where it is compressed."""
        for table in (self.shares, self.connections):
            for row in self.emulator.rows(table):
                yield json.dumps({name: value for name, value in row.items() if "B" not in value}).encode()
                for name, value in row.items():
                    if "B" in value:
                        yield zlib.decompress(value["B"]) if name == "payload" else value["B"]
        client = self.emulator.client("s3")
        for entry in client.list_objects_v2(Bucket=self.bucket).get("Contents", []):
            found = client.get_object(Bucket=self.bucket, Key=entry["Key"])
            body, coding = found["Body"].read(), found.get("ContentEncoding")
            yield entry["Key"].encode()
            yield unpack(body, Coding(coding)) if coding else zlib.decompress(body)

    def received(self, queue: str) -> list[dict[str, Any]]:
        """Receive all messages of a queue."""
        client = self.emulator.client("sqs")
        received: list[dict[str, Any]] = []
        while found := client.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            for message in found:
                client.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            received += [json.loads(message["Body"]) for message in found]
        return received

    def delayed(self, queue: str) -> int:
        """Return the number of delayed messages of a queue."""
        name = "ApproximateNumberOfMessagesDelayed"
        answer = self.emulator.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=[name])
        return int(answer["Attributes"][name])

    def delivered(self) -> list[dict[str, Any]]:
        """Return the invocations of the function `deliver`."""
        return self.gateway.invocations.get(self.deliver, [])


class Environment:
    """One execution environment: services, wired as the functions wire them, over stores that a test can steer."""

    def __init__(
        self, plane: Plane, hubs: Callable[[ShareStore], Hubs] = lambda _store: NO_HUBS, **options: Any
    ) -> None:
        self.plane = plane
        self.steering = Steering()
        self.objects = self.steering.over(ObjectStore(plane.bucket))
        self.store = self.steering.over(ShareStore(plane.shares, self.objects))
        self.connections = self.steering.over(ConnectionStore(plane.connections))
        self.tasks = Tasks(plane.deliver, plane.purges)
        self.access = Access(AccessStore(plane.access, plane.sessions), lambda _token: None)
        self.gate = ShareAccess(self.store, self.access)
        self.sockets = Sockets(plane.gateway.endpoint)
        self.fan_out = FanOut(self.store, self.sockets, self.tasks, self.gate, hubs(self.store))
        self.owning = Owning(self.store, self.access, self.fan_out, AuditQueue(plane.audit))
        self.publishing = Publishing(
            self.store, self.fan_out, self.gate, self.owning, lambda: DEPLOYMENT_KEY, **options
        )
        self.viewing = Viewing(self.store, self.connections, self.fan_out, self.tasks, self.gate)
        self.snapshots = Snapshots(self.store, self.objects)
        self.reading = ShareReader(self.store, self.objects, self.snapshots, self.gate)
        self.deletion = ShareDeletion(self.store, self.objects, self.fan_out, self.tasks)
        self.purges = Purges(self.deletion)
        redaction = SecretRedaction(self.store, RedactionMode.ON)
        self.rescan = Rescan(self.store, self.objects, self.snapshots, self.fan_out, self.gate, redaction)
        self.deliveries = Deliveries(self.store, self.connections, self.fan_out, self.snapshots, self.gate, self.rescan)

    def row(self, share_id: str) -> Share:
        """Return a share, which must exist."""
        share = self.store.share(ShareId(share_id))
        assert share is not None
        return share

    def change(self, share_id: str, by: Actor, **change: Any) -> None:
        """Change the audience of a share, or its end."""
        self.owning.change(by, ShareId(share_id), ShareUpdate(**change))

    def share(self, session_id: str | None = None, actor: Actor | None = None, address: str = ADDRESS) -> SharedSession:
        """Share a session, or continue one that is shared."""
        session_id = new_session_id() if session_id is None else session_id
        return SharedSession(self, session_id, self.publishing.create(ClientSessionId(session_id), address, actor))

    def actor(self, person: Person, workspace: str) -> Actor:
        return self.access.member(person.browser, WorkspaceId(workspace))

    def texts(self, share_id: str, visitor: Visitor | None = None) -> list[str]:
        """Return the texts of all visible parts."""
        items = self.reading.state(ShareId(share_id), visitor or Visitor()).items
        return texts_of(items)

    def follow(self, share_id: str, protocol: Protocol = Protocol.LIVE, ticket: str = "") -> Socket:
        """Register a viewer, without a replay."""
        socket = self.plane.gateway.connect()
        join(self.store, self.connections, ShareId(share_id), Viewer(ConnectionId(socket.id), protocol, ticket))
        return socket


@dataclass
class SharedSession:
    """A share and its publisher, in one execution environment."""

    environment: Environment
    session_id: str
    credentials: ShareCredentials

    @property
    def id(self) -> ShareId:
        return self.credentials.id

    @property
    def secret(self) -> str:
        return self.credentials.secret

    def sync(
        self,
        *published: Published,
        at: int | None = None,
        secret: str | None = None,
        actor: Actor | None = None,
    ) -> int:
        """Publish items and return the last sequence number."""
        secret = self.secret if secret is None else secret
        items, arrived = items_of(*published), now_ms() if at is None else at
        sender = (lambda: actor) if actor else None
        return self.environment.publishing.sync(ShareId(self.id), secret, items, arrived, sender).seq

    def from_elsewhere(self) -> SharedSession:
        """Return the same share in another execution environment."""
        return SharedSession(Environment(self.environment.plane), self.session_id, self.credentials)


def items_of(*published: Published) -> list[Item]:
    return parse([msgspec.json.encode(each) for each in published])


def texts_of(items: Sequence[Item]) -> list[str]:
    return [json.loads(item.data)["text"] for item in items if item.type == "part"]


def document_of(answer: ShareDocument | Redirect) -> Any:
    """Return the JSON of an answer that is not a redirect."""
    assert isinstance(answer, ShareDocument)
    return json.loads(unpack(answer.body, answer.coding))


def incompressible(count: int) -> str:
    """Return a text of ``count`` bytes that compresses to about half of its size."""
    return secrets.token_hex(count // 2)
