"""A stored share is searched again, and nothing of what is found is left in any row, object or old version."""

from __future__ import annotations

import gzip
import json
import zlib
from base64 import b64decode
from typing import Any, cast

import msgspec
import pytest
from backports import zstd

from opencode_cloud.contracts.access import EnforcedPolicy, KnownWorkspace
from opencode_cloud.contracts.ids import CommentId, ShareId, WorkspaceId
from opencode_cloud.sharing.models import Item, Mode, Ownership, Position, Record, RedactionMode, Share, State, Viewer
from opencode_cloud.sharing.protocol.comments import Comment, CommentedLines, DiffSide
from opencode_cloud.sharing.service.access import ShareAccess
from opencode_cloud.sharing.service.redaction import SecretRedaction
from opencode_cloud.sharing.service.rescan import Rescan
from opencode_cloud.sharing.service.snapshots import Snapshots
from opencode_cloud.sharing.store import ObjectStore, ShareStore
from tests.unit.aws import Cloud, by_boto3
from tests.unit.sharing.redaction.secrets import FORMATS, Draw

KEY = FORMATS["anthropic"](Draw(1))
BUCKET = "shares"
OWNERSHIP = Ownership(owner="acc_1", workspace_id=WorkspaceId("wrk_1"), mode=Mode.LINK, ticket_key=b"k", title=KEY)
SHARE = Share(
    id=ShareId("shr_1"),
    state=State.ACTIVE,
    session_hash="session",
    secret_hash=b"hash",
    sealed_session=b"sealed",
    pseudonym="ses_p",
    created_at=1,
    hint=Position(),
    ownership=OWNERSHIP,
)


class Workspaces:
    def __init__(self) -> None:
        self.policy: EnforcedPolicy | None = EnforcedPolicy()

    def workspace(self, workspace_id: WorkspaceId) -> KnownWorkspace | None:
        return KnownWorkspace(id=workspace_id, name="Acme", policy=self.policy) if self.policy else None


class Pushes:
    """The fan-out: it keeps the records of which viewers are told."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.told = 0

    def commit(
        self, _share: Share, record: Record, _viewers: list[Viewer], _stale: frozenset[str], _mode: Mode
    ) -> None:
        self.records.append(record)

    def tell_of_comments(self, *_: object) -> None:
        self.told += 1


class Plane:
    """A share with a log that was stored without redaction."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.objects = ObjectStore(cloud.bucket(BUCKET, versioned=True))
        self.store = ShareStore(cloud.table("shares"), self.objects)
        self.snapshots = Snapshots(self.store, self.objects)
        self.workspaces, self.pushes = Workspaces(), Pushes()
        access = cast("Any", self.workspaces)
        gate = ShareAccess(self.store, access)
        redaction = SecretRedaction(self.store, RedactionMode.ON)
        pushes = cast("Any", self.pushes)
        self.rescan = Rescan(self.store, self.objects, self.snapshots, pushes, gate, redaction)
        self.end = Position()
        assert self.store.create(SHARE)

    def publish(self, at: int, *items: Item) -> None:
        end = self.store.append(SHARE.id, self.end, at, self.store.prepare(SHARE.id, items))
        assert end is not None
        self.end = end

    def snapshot(self) -> None:
        share = self.share()
        self.snapshots.take(share)

    def share(self) -> Share:
        share = self.store.share(SHARE.id)
        assert share is not None
        return share

    def state(self) -> dict[str, bytes]:
        fold, _ = self.snapshots.fold(self.share())
        return {item.key: self.objects.filled(SHARE.id, item).data for item in fold.items()}

    def stored(self) -> bytes:
        """Return everything that is stored, unpacked: rows, and all versions of all objects."""
        pieces = [_unpacked(row) for row in self.cloud.rows("shares")]
        listed: Any = by_boto3("s3").list_object_versions(Bucket=BUCKET)
        for version in listed.get("Versions", []):
            answer = by_boto3("s3").get_object(Bucket=BUCKET, Key=version["Key"], VersionId=version["VersionId"])
            pieces.append(_plain(answer["Body"].read()))
        return b"\n".join(pieces)


def _unpacked(row: dict[str, Any]) -> bytes:
    payload = row.get("payload", {}).get("B", b"")
    payload = b64decode(payload) if isinstance(payload, str) else payload
    return repr(row).encode() + (zlib.decompress(payload) if payload else b"")


def _plain(stored: bytes) -> bytes:
    for unpack in (gzip.decompress, zlib.decompress, zstd.decompress):
        try:
            return unpack(stored)
        except (OSError, zlib.error, zstd.ZstdError):
            continue
    return stored


@pytest.fixture
def plane(cloud: Cloud) -> Plane:
    return Plane(cloud)


def part(text: str, name: str = "1") -> Item:
    return Item(key=f"part/msg_1/prt_{name}", type="part", data=json.dumps({"text": text}).encode())


def session(title: str) -> Item:
    return Item(key="session", type="session", data=json.dumps({"id": "ses_p", "title": title}).encode())


def test_nothing_of_a_secret_is_left(plane: Plane) -> None:
    large = "".join(str(n) for n in range(90_000))
    plane.publish(5, session(KEY), part(f"a {KEY} b"), part("as it was", "2"))
    plane.publish(6, part(f"{large} {KEY}", "3"))
    plane.publish(
        7, *(part(f"{large[:200_000]} {n}" + Draw(n).of("abcdef", 9000), f"n{n}") for n in range(9)), part(KEY, "4")
    )
    plane.snapshot()
    plane.publish(8, part("b without it"))
    plane.snapshot()
    plane.objects.put(SHARE.id, "documents/items", gzip.compress(KEY.encode()))
    assert KEY.encode() in plane.stored()
    before = plane.state()
    assert plane.rescan.run(SHARE.id) == 3
    assert KEY.encode() not in plane.stored()
    mark, after = b"[redacted: anthropic-api-key]", plane.state()
    assert after == {key: data.replace(KEY.encode(), mark) for key, data in before.items()}
    assert plane.share().ownership == msgspec.structs.replace(OWNERSHIP, title=mark.decode())


def test_comments_and_what_they_quote_are_searched_too(plane: Plane) -> None:
    lines = CommentedLines(
        file="a.py", first=1, last=1, side=DiffSide.NEW, change=1, quote=f"key = {KEY}", length=len(KEY) + 6
    )
    whole = Comment(id=CommentId("cmt_1"), author="acc_1", name="ada", text=f"not {KEY}!", created_at=5, lines=lines)
    plane.store.put_comment(SHARE.id, whole)
    plane.rescan.run(SHARE.id)
    assert KEY.encode() not in plane.stored().replace(repr(OWNERSHIP.title).encode(), b"")
    [comment] = plane.store.comments(SHARE.id)
    assert comment.text == "not [redacted: anthropic-api-key]!"
    assert comment.lines is not None
    assert comment.lines.is_of("key = [redacted: anthropic-api-key]")
    assert plane.pushes.told == 1
    plane.rescan.run(SHARE.id)
    assert plane.pushes.told == 1


def test_viewers_get_the_present_items_once_more(plane: Plane) -> None:
    plane.publish(5, part(f"a {KEY}"), part("as it was", "2"), part(f"old {KEY}", "3"))
    plane.publish(6, part("new", "3"))
    plane.rescan.run(SHARE.id)
    [record] = plane.pushes.records
    assert [(item.key, item.seq, item.at) for item in record.items] == [("part/msg_1/prt_1", 5, 5)]
    assert KEY.encode() not in record.items[0].data


def test_a_later_arrival_of_the_client_still_replaces_what_a_rescan_appended(plane: Plane) -> None:
    plane.publish(5, part(f"a {KEY}"))
    plane.rescan.run(SHARE.id)
    plane.end = plane.store.head(SHARE.id, plane.end).tail
    plane.publish(6, part("b"))
    assert plane.state()["part/msg_1/prt_1"] == b'{"text": "b"}'


def test_a_second_run_changes_nothing(plane: Plane) -> None:
    plane.publish(5, part(f"a {KEY}"))
    assert plane.rescan.run(SHARE.id) == 1
    rows = sorted(map(repr, plane.cloud.rows("shares")))
    assert plane.rescan.run(SHARE.id) == 0
    assert sorted(map(repr, plane.cloud.rows("shares"))) == rows


def test_findings_are_reported(plane: Plane) -> None:
    plane.publish(5, part(f"a {KEY}"))
    plane.rescan.run(SHARE.id)
    [found] = plane.store.findings(SHARE.id)
    assert (found.key, found.at, found.findings[0].kind) == ("part/msg_1/prt_1", 5, "anthropic-api-key")


@pytest.mark.parametrize("mode", ["report", "off"])
def test_a_policy_that_replaces_nothing_leaves_the_share(plane: Plane, mode: str) -> None:
    plane.workspaces.policy = EnforcedPolicy(share_redaction=mode)
    plane.publish(5, part(f"a {KEY}"))
    assert plane.rescan.run(SHARE.id) == 0
    assert plane.state() == {"part/msg_1/prt_1": part(f"a {KEY}").data}
    assert bool(plane.store.findings(SHARE.id)) == (mode == "report")


def test_a_share_that_is_gone_or_without_a_workspace_is_left(plane: Plane) -> None:
    plane.publish(5, part(f"a {KEY}"))
    plane.workspaces.policy = None
    assert plane.rescan.run(SHARE.id) == 0
    assert plane.rescan.run(ShareId("shr_2")) == 0


def test_a_record_that_was_deleted_meanwhile_stays_deleted(plane: Plane) -> None:
    plane.publish(5, part(f"a {KEY}"))
    [record] = plane.store.records(SHARE.id, 0)
    plane.store.purge(SHARE.id)
    plane.store.rewrite(SHARE.id, record, record.items)
    assert plane.cloud.rows("shares") == [row for row in plane.cloud.rows("shares") if row["pk"]["S"] != SHARE.id]
