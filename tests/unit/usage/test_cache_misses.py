"""Each miss of a prompt cache has a cause, and calls that share no prompt lose nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest

from opencode_cloud.catalogue.models import Price, Rates
from opencode_cloud.catalogue.pricing import RateTable
from opencode_cloud.contracts.actor import Actor, ActorKind, CredentialKind
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.contracts.usage import Tokens
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.usage.models import MissCause, Selection, SessionCaching, StoredEvent
from opencode_cloud.usage.service import CacheMisses
from opencode_cloud.usage.service.rollups import moment
from tests.unit.usage.events import ANN, NOON, WORKSPACE, event

MINUTE = 60_000
OWNER = Actor(kind=ActorKind.MEMBER, credential=CredentialKind.SESSION, id=ANN, workspace_id=WORKSPACE, role=Role.OWNER)
RATES = Rates(input=3_000_000, output=15_000_000, cache_read=300_000, cache_write=3_750_000, cache_write_1h=6_000_000)


class Archive:
    """A stand-in for the archive, with the calls of one session."""

    def __init__(self, calls: Sequence[StoredEvent]) -> None:
        self._calls = calls

    def oldest(self, _workspace: str, selection: Selection, _after: None, limit: int) -> Sequence[StoredEvent]:
        assert list(selection.only.values()) == ["ses_1"]
        return self._calls[:limit]


class Prices:
    """One known price."""

    def of(self, versions: Iterable[str]) -> Mapping[str, RateTable]:
        return {name: Price(version=name, since=0, rates=RATES) for name in versions if name == "p1"}


def call(number: int, fresh: int = 0, read: int = 0, written: int = 0, **changes: Any) -> StoredEvent:
    tokens = Tokens(input=fresh, cache_read=read, cache_write=written, output=50)
    made = event(number, **{"at": NOON + number * MINUTE, "tokens": tokens, "session": "ses_1", **changes})
    return StoredEvent(event=made, at=moment(made))


def looked_at(*calls: StoredEvent) -> SessionCaching:
    archive: Any = Archive(calls)
    now = utc_now()
    period = Selection(since=now.replace(day=1, hour=0, minute=0, second=0, microsecond=0), until=now)
    return CacheMisses(archive, Prices()).of(OWNER, WORKSPACE, "ses_1", period)


def lost(*calls: StoredEvent) -> list[tuple[int, MissCause]]:
    return [(miss.tokens, miss.cause) for miss in looked_at(*calls).misses]


def test_a_session_that_reads_what_was_sent_lost_nothing() -> None:
    found = looked_at(call(0, written=20_000), call(1, 500, 20_000, 1000), call(2, 100, 21_400, 900))
    assert (found.lost_tokens, found.lost_cost, found.misses) == (0, 0, ())
    assert (found.calls, found.complete, found.prompt_tokens, found.read_tokens) == (3, True, 63_900, 41_400)


@pytest.mark.parametrize(
    ("second", "cause"),
    [
        (call(1, written=21_000, upstream="openrouter"), MissCause.UPSTREAM),
        (call(1, written=21_000, upstream_model="claude-sonnet-5-eu"), MissCause.UPSTREAM),
        (call(1, written=21_000, model="claude-opus"), MissCause.MODEL),
        (call(1, written=21_000, at=NOON + 9 * MINUTE), MissCause.EXPIRED),
        (call(1, written=21_000, at=NOON + 100), MissCause.CONCURRENT),
        (call(1, written=21_000), MissCause.CHANGED),
    ],
)
def test_a_miss_has_a_cause(second: StoredEvent, cause: MissCause) -> None:
    assert lost(call(0, written=20_000), second) == [(20_000, cause)]


def test_a_cache_of_an_hour_outlives_five_minutes() -> None:
    hour = Tokens(cache_write_1h=20_000, output=9)
    late = {"written": 21_000, "at": NOON + 30 * MINUTE}
    assert lost(call(0, tokens=hour), call(1, **late)) == [(20_000, MissCause.CHANGED)]
    assert lost(call(0, tokens=hour), call(1, written=21_000, at=NOON + 90 * MINUTE))[0][1] is MissCause.EXPIRED


def test_a_session_without_any_cache_is_told_as_that() -> None:
    assert lost(call(0, 20_000), call(1, 21_000)) == [(20_000, MissCause.UNCACHED)]


def test_a_shorter_prompt_is_another_conversation_or_a_summary() -> None:
    main, agent = call(0, written=90_000), call(1, written=12_000)
    assert lost(main, agent, call(2, 100, 12_000, 400), call(3, 100, 90_000, 900)) == []


def test_a_sub_agent_of_another_model_lost_nothing() -> None:
    assert lost(call(0, written=90_000), call(1, written=12_000, model="haiku")) == []


def test_a_small_difference_is_no_miss() -> None:
    assert lost(call(0, written=20_000), call(1, 2000, 19_100)) == []


def test_estimated_usage_says_nothing_of_caches() -> None:
    assert lost(call(0, written=20_000), call(1, 21_000, estimated=True), call(2, 100, 20_000, 2000)) == []


def test_a_miss_costs_the_difference_to_a_read() -> None:
    found = looked_at(call(0, written=20_000), call(1, fresh=9000, written=21_000), call(2, 40_000, price="other"))
    assert [miss.cost for miss in found.misses] == [20_000 * (3_750_000 - 300_000) // 1_000_000, None]
    assert found.lost_cost == 69_000


def test_a_long_session_is_told_as_incomplete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opencode_cloud.usage.service.cache_misses.MOST_CALLS", 2)
    found = looked_at(*(call(number, 2000) for number in range(4)))
    assert (found.calls, found.complete) == (2, False)
