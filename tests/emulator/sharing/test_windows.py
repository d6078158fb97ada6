"""Windows of a share from its snapshot's chunks and its log, through the stores."""

from __future__ import annotations

import pytest

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit.errors import Gone, Unauthorized
from opencode_cloud.sharing.models import Mode
from opencode_cloud.sharing.rendering.outline import MessageWindow
from opencode_cloud.sharing.service import snapshots
from opencode_cloud.sharing.service.access import Visitor
from opencode_cloud.sharing.service.outlines import CHUNKS, SUFFIX
from opencode_cloud.sharing.service.searching import Search
from opencode_cloud.sharing.service.snapshots import ZSTD_SUFFIX
from tests.emulator.sharing.plane import Environment, SharedSession, incompressible
from tests.integration.publisher import message, part

ANYONE = Visitor()


@pytest.fixture(autouse=True)
def _every_session_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "OUTLINE_BYTES", 1)


def take(cloud: Environment, share: SharedSession) -> str:
    taken = cloud.snapshots.take(cloud.row(share.id))
    assert taken.outline_bytes > 0
    return taken.object


def texts(window: MessageWindow) -> list[object]:
    return [entry.value.get("text") for each in window.transcript.messages for entry in each.parts]


def test_a_conversation_is_what_the_snapshot_holds_and_what_came_after(cloud: Environment) -> None:
    share = cloud.share()
    share.sync(message("1"), part("a", "one"), part("b", "two"), at=1000)
    take(cloud, share)
    share.sync(part("b", "changed"), part("c", "three"), at=2000)
    share.sync(part("a", "too early"), at=500)
    opened = Environment(cloud.plane).reading.conversation(ShareId(share.id), ANYONE)
    assert (texts(opened.newest()), opened.seq) == (["one", "changed", "three"], 6)


def test_nothing_else_of_the_snapshot_is_read(cloud: Environment) -> None:
    share = cloud.share()
    share.sync(message("1"), part("a", "one"))
    name = take(cloud, share)
    for stored in (name, name + ZSTD_SUFFIX):
        cloud.plane.emulator.client("s3").delete_object(Bucket=cloud.plane.bucket, Key=f"shares/{share.id}/{stored}")
    assert texts(cloud.reading.conversation(ShareId(share.id), ANYONE).newest()) == ["one"]


def test_older_outlines_go_with_their_snapshots(cloud: Environment) -> None:
    share = cloud.share()
    names: list[str] = []
    for number in range(3):
        share.sync(message("1"), part(f"{number}"))
        names.append(take(cloud, share))
    kept = [name + suffix for name in names[1:] for suffix in ("", CHUNKS, SUFFIX, ZSTD_SUFFIX)]
    assert sorted(set(cloud.plane.objects(share.id, "snapshots"))) == sorted(kept)


def test_a_large_body_is_a_placeholder_and_is_searched(cloud: Environment) -> None:
    share = cloud.share()
    share.sync(message("1"), part("a", incompressible(400_000) + " needle"))
    take(cloud, share)
    share.sync(part("b", incompressible(400_000) + " needle"))
    opened = cloud.reading.conversation(ShareId(share.id), ANYONE)
    assert texts(opened.newest()) == [None, None]
    found = Search(opened, lambda items: cloud.reading.inline(ShareId(share.id), items)).find("needle")
    assert [match.anchor for match in found.matches] == ["p-msg_1/prt_a", "p-msg_1/prt_b"]


def test_windows_are_read_under_the_rules_of_the_share(cloud: Environment) -> None:
    workspace = cloud.plane.people.workspace()
    owner = cloud.plane.people.member(workspace)
    actor = cloud.actor(owner, workspace)
    share = cloud.share(actor=actor)
    share.sync(message("1"), part("a", "one"), actor=actor)
    take(cloud, share)
    cloud.change(share.id, actor, mode=Mode.WORKSPACE)
    with pytest.raises(Unauthorized):
        cloud.reading.conversation(ShareId(share.id), ANYONE)
    assert texts(cloud.reading.conversation(ShareId(share.id), Visitor(owner.browser)).newest()) == ["one"]
    cloud.deletion.delete(cloud.row(share.id), "unshared")
    with pytest.raises(Gone):
        cloud.reading.conversation(ShareId(share.id), Visitor(owner.browser))
