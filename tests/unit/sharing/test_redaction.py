"""Each policy stores a publication in its own way, and its owner gets a report."""

from __future__ import annotations

import json
from collections import Counter

import msgspec
import pytest

from opencode_cloud.contracts.access import RedactionPattern
from opencode_cloud.contracts.ids import ShareId, WorkspaceId
from opencode_cloud.kit import log
from opencode_cloud.kit.errors import Unavailable
from opencode_cloud.sharing.models import Item, Mode, Ownership, Position, RedactionMode, Share, State
from opencode_cloud.sharing.service.access import PublishingRules
from opencode_cloud.sharing.service.redaction import SecretRedaction
from opencode_cloud.sharing.store import ObjectStore, ShareStore
from tests.unit.aws import Cloud
from tests.unit.sharing.redaction.secrets import FORMATS, Draw

KEY = FORMATS["stripe"](Draw(1))
SHARE = Share(
    id=ShareId("shr_1"),
    state=State.ACTIVE,
    session_hash="session",
    secret_hash=b"hash",
    sealed_session=b"sealed",
    pseudonym="ses_p",
    created_at=1,
    hint=Position(),
)
OWNED = msgspec.structs.replace(
    SHARE,
    ownership=Ownership(
        owner="acc_1",
        workspace_id=WorkspaceId("wrk_1"),
        mode=Mode.LINK,
        ticket_key=b"k",
        allowed_secrets=("stripe-access-token",),
    ),
)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    counts: Counter[str] = Counter()

    def count(name: str, value: int = 1) -> None:
        counts[name] += value

    monkeypatch.setattr(log, "count", count)
    return counts


@pytest.fixture
def store(cloud: Cloud) -> ShareStore:
    return ShareStore(cloud.table("shares"), ObjectStore(cloud.bucket("shares", versioned=True)))


def part(text: str, name: str = "prt_1") -> Item:
    return Item(key=f"part/msg_1/{name}", type="part", data=json.dumps({"text": text}).encode())


def rules(mode: RedactionMode | None) -> PublishingRules:
    return PublishingRules(redaction=mode)


@pytest.mark.parametrize("deployment", RedactionMode)
@pytest.mark.parametrize("workspace", [None, *RedactionMode])
def test_a_policy_decides_and_the_deployment_where_there_is_none(
    store: ShareStore, counted: Counter[str], workspace: RedactionMode | None, deployment: RedactionMode
) -> None:
    item, mode = part(f"key {KEY} end"), workspace or deployment
    [stored] = SecretRedaction(store, deployment).apply(SHARE, [item], 5, rules(workspace))
    assert (KEY.encode() in stored.data) == (mode is not RedactionMode.ON)
    assert (stored == item) == (mode is not RedactionMode.ON)
    found = [finding.kind for each in store.findings(SHARE.id) for finding in each.findings]
    assert found == ([] if mode is RedactionMode.OFF else ["stripe-access-token"])
    assert counted["RedactedCount.stripe-access-token"] == len(found)


def test_kinds_of_workspaces_are_counted_as_one(store: ShareStore, counted: Counter[str]) -> None:
    patterns = (RedactionPattern("customer", "kunde-[0-9]+"), RedactionPattern("person", "mit-[0-9]+"))
    given = PublishingRules(redaction=RedactionMode.ON, patterns=patterns)
    SecretRedaction(store, RedactionMode.ON).apply(SHARE, [part("kunde-1234 mit-5678"), part(KEY, "prt_2")], 5, given)
    assert counted == {"RedactedCount": 3, "RedactedCount.custom": 2, "RedactedCount.stripe-access-token": 1}


def test_the_report_keeps_the_last_findings_of_each_item(store: ShareStore, counted: Counter[str]) -> None:
    redaction = SecretRedaction(store, RedactionMode.ON)
    redaction.apply(SHARE, [part(f"a {KEY}")], 5, rules(None))
    redaction.apply(SHARE, [part(f"a {KEY} b {KEY}"), part(f"c {KEY}", "prt_2")], 6, rules(None))
    found = sorted(store.findings(SHARE.id), key=lambda each: each.key)
    assert [(each.key, each.at, [one.count for one in each.findings]) for each in found] == [
        ("part/msg_1/prt_1", 6, [2]),
        ("part/msg_1/prt_2", 6, [1]),
    ]
    assert KEY not in repr(found)
    assert counted["RedactedCount"] == 4
    assert store.purge(SHARE.id) == 2


def test_a_growing_text_is_noted_once(
    store: ShareStore, counted: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    monkeypatch.setattr(store, "put_findings", lambda _share, found: written.append(len(found)))
    redaction = SecretRedaction(store, RedactionMode.ON)
    for length in range(5):
        redaction.apply(SHARE, [part(f"{KEY} {'word ' * length}")], length, rules(None))
    assert written == [1]
    assert counted["RedactedCount"] == 5


def test_a_report_that_cannot_be_stored_does_not_lose_the_publication(
    store: ShareStore, counted: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise Unavailable("store_unavailable", "Try again.")

    monkeypatch.setattr(store, "put_findings", fail)
    [stored] = SecretRedaction(store, RedactionMode.ON).apply(SHARE, [part(KEY)], 5, rules(None))
    assert KEY.encode() not in stored.data
    assert counted["UnnotedFindingsCount"] == 1


def test_what_the_owner_allows_is_stored_as_it_is_sent(store: ShareStore, counted: Counter[str]) -> None:
    item = part(f"key {KEY} end")
    [stored] = SecretRedaction(store, RedactionMode.ON).apply(OWNED, [item], 5, rules(None))
    assert stored is item
    assert store.findings(OWNED.id) == []
    assert not counted
