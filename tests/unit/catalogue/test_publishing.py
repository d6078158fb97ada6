"""Publishing versions of the catalogue over the real database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from opencode_cloud.audit.service import AuditTrail
from opencode_cloud.audit.store import AuditStore
from opencode_cloud.catalogue.document import date
from opencode_cloud.catalogue.models import Catalogue, InvalidCatalogue
from opencode_cloud.catalogue.pricing import cost
from opencode_cloud.catalogue.service import publishing
from opencode_cloud.catalogue.service.publishing import CataloguePublisher
from opencode_cloud.catalogue.store.versions import VersionStore
from opencode_cloud.contracts.actor import Actor, ActorKind, CredentialKind
from opencode_cloud.contracts.outbox import OutboxMessage, Topic
from opencode_cloud.contracts.usage import Tokens
from opencode_cloud.kit.errors import NotFound, PreconditionFailed, ServiceError
from opencode_cloud.kit.sql import Database
from opencode_cloud.outbox.service import Outbox
from opencode_cloud.policies.validation import form_faults
from opencode_cloud.schema.audit import audit_entries
from opencode_cloud.schema.catalogue import catalogue_prices
from tests.unit.catalogue.documents import DAY, document, text, with_model
from tests.unit.workspaces.team import QuietStore

ACTOR = Actor(kind=ActorKind.OPERATOR, credential=CredentialKind.OPERATOR, name="arn:aws:iam::1:user/ada")
BEGAN = 1_795_000_000


class Shelf:
    """The published versions."""

    def __init__(self) -> None:
        self.catalogue: Catalogue | None = None

    def put(self, catalogue: Catalogue, *, over: bool = False) -> bool:
        self.catalogue = catalogue
        return True


@dataclass
class Desk:
    """A publisher with the test's clock, and its messages to the other planes."""

    database: Database
    patch: pytest.MonkeyPatch
    now: int = BEGAN
    messages: list[OutboxMessage] = field(default_factory=list[OutboxMessage])

    def __post_init__(self) -> None:
        outbox = Outbox(QuietStore(self.database, "no queue"), self._relay)
        self.store = VersionStore(self.database)
        self.publisher = CataloguePublisher(self.store, outbox, AuditTrail(AuditStore()), form_faults)
        self.patch.setattr(publishing, "now_seconds", lambda: self.now)

    def _relay(self, messages: Sequence[OutboxMessage]) -> None:
        self.messages.extend(messages)

    def publish(self, written: dict[str, Any], read: int | None = None) -> int:
        present = self.publisher.current().number if read is None else read
        return self.publisher.publish(ACTOR, text(written), present)[0].number

    def in_force(self) -> Catalogue:
        shelf: Any = Shelf()
        self.publisher.project(shelf)
        assert shelf.catalogue is not None
        return shelf.catalogue

    def refusal(self, written: dict[str, Any]) -> list[str]:
        with pytest.raises(InvalidCatalogue) as caught:
            self.publish(written)
        return [str(fault) for fault in caught.value.faults]


@pytest.fixture
def desk(database: Database, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(database, monkeypatch)


def prices(*of: tuple[int, str]) -> list[dict[str, str]]:
    return [{"from": date(at), "input": amount, "output": amount} for at, amount in of]


def test_before_the_first_version_the_starting_catalogue_counts(desk: Desk) -> None:
    assert desk.publisher.current().number == 0
    shelf: Any = Shelf()
    assert desk.publisher.project(shelf) == 0
    assert shelf.catalogue is None  # readers know version 0 themselves


def test_versions_count_up_are_all_kept_and_are_told_to_the_planes(desk: Desk) -> None:
    for number in range(3):
        assert desk.publish(with_model("own", name=f"Own {number}")) == number + 1
    assert [each.number for each in desk.publisher.versions()] == [3, 2, 1]
    assert json.loads(desk.publisher.revision(1).document)["models"]["own"]["name"] == "Own 0"
    assert [message.topic for message in desk.messages] == [Topic.CATALOGUE] * 3
    assert (desk.in_force().version, desk.in_force().models["own"].name) == (3, "Own 2")


def test_a_document_is_kept_in_the_order_in_which_it_was_written(desk: Desk) -> None:
    desk.publish(document())
    assert text(json.loads(desk.publisher.current().document)) == text(document())


def test_what_says_the_same_makes_no_version(desk: Desk) -> None:
    assert [desk.publish(document()), desk.publish(document())] == [1, 1]
    assert len(desk.messages) == 1


def test_a_change_of_an_older_version_is_refused(desk: Desk) -> None:
    desk.publish(document())
    with pytest.raises(PreconditionFailed):
        desk.publish(with_model("own", name="Other"), 0)


def test_of_many_at_once_one_publishes(desk: Desk) -> None:
    def publish(number: int) -> int | str:
        try:
            return desk.publish(with_model("own", name=f"Own {number}"), 0)
        except ServiceError as error:
            return error.code

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(publish, range(6)))
    assert sorted(map(str, results)) == ["1", *["stale_version"] * 5]


def test_it_is_on_record_who_changed_what(desk: Desk) -> None:
    desk.publish(document())
    desk.publish(with_model("own", name="Ours"))
    with desk.database.transaction() as connection:
        entries = connection.execute(select(audit_entries).order_by(audit_entries.c.id)).all()
    last = entries[-1]
    assert (last.action, last.actor_name, last.before) == ("catalogue.published", ACTOR.name, {"version": 1})
    assert last.after["changes"] == ['models/own/name changes from "Our own" to "Ours"']


def test_an_invalid_document_changes_nothing(desk: Desk) -> None:
    desk.publish(document())
    assert desk.refusal(document(small_model="none")) == ["/small_model: there is no model 'none'"]
    assert desk.publisher.current().number == 1
    with pytest.raises(InvalidCatalogue, match="JSON"):
        desk.publisher.publish(ACTOR, "{", 1)


def test_a_document_that_is_too_large_for_a_row_is_refused(desk: Desk) -> None:
    large = document()
    for number in range(9000):
        name = f"m{number}-{hash(str(number)):x}"
        large["models"][name] = {**large["models"]["own"], "name": name * 3, "family": f"{hash(name):x}"}
    assert "bytes when compressed" in desk.refusal(large)[0]


# ------------------------------------------------------------------------------------------------ prices


def test_a_price_of_the_past_cannot_be_changed_taken_away_or_put_in(desk: Desk) -> None:
    desk.publish(with_model("own", prices=prices((BEGAN - 2 * DAY, "1"), (BEGAN - DAY, "2"))))
    changed = desk.refusal(with_model("own", prices=prices((BEGAN - 2 * DAY, "1"), (BEGAN - DAY, "3"))))
    assert changed == ["/models/own/prices/1: this price has begun and cannot change: add one that begins later"]
    (gone,) = desk.refusal(with_model("own", prices=prices((BEGAN - 2 * DAY, "1"))))
    assert gone.endswith("has begun and cannot be taken away")
    earlier = prices((BEGAN - 2 * DAY, "1"), (BEGAN - DAY, "2"), (BEGAN - 1, "3"))
    assert desk.refusal(with_model("own", prices=earlier)) == [
        "/models/own/prices/2/from: it begins in the past, for which there is a price: let it begin now or later"
    ]
    assert desk.publisher.current().number == 1


def test_a_price_to_come_can_be_changed_until_it_begins(desk: Desk) -> None:
    first = (BEGAN - DAY, "1")
    desk.publish(with_model("own", prices=prices(first, (BEGAN + DAY, "2"))))
    desk.publish(with_model("own", prices=prices(first, (BEGAN + DAY, "3"))))
    desk.publish(with_model("own", prices=prices(first, (BEGAN + 2 * DAY, "4"))))
    desk.now = BEGAN + 2 * DAY - 30  # a moment earlier, because gateways may have read it
    assert desk.refusal(with_model("own", prices=prices(first)))
    with desk.database.transaction() as connection:
        known = connection.execute(select(catalogue_prices).where(catalogue_prices.c.model == "own")).all()
    assert len(known) == 2


def test_a_price_from_now_is_dated_when_it_is_published(desk: Desk) -> None:
    desk.publish(with_model("own", prices=prices((BEGAN - DAY, "1"))))
    now = [*prices((BEGAN - DAY, "1")), {"from": "now", "input": "2", "output": "2"}]
    desk.publish(with_model("own", prices=now))
    assert desk.in_force().models["own"].prices[1].since == BEGAN
    assert '"now"' not in desk.publisher.current().document


def test_a_model_that_comes_back_has_the_prices_that_it_had(desk: Desk) -> None:
    desk.publish(document())
    without = document()
    del without["models"]["own"]
    desk.publish(without)
    assert desk.refusal(with_model("own", prices=prices((BEGAN - 5, "7"))))
    desk.publish(with_model("own", prices=[*document()["models"]["own"]["prices"], *prices((BEGAN + 5, "7"))]))


def test_restoring_brings_back_everything_but_prices_that_were_charged(desk: Desk) -> None:
    first = (BEGAN - DAY, "1")
    desk.publish(with_model("own", name="Old", prices=prices(first)))
    desk.publish(with_model("own", name="New", prices=prices(first, (BEGAN + DAY, "2"))))
    desk.now = BEGAN + 2 * DAY
    restored, changes = desk.publisher.restore(ACTOR, 1)
    assert (restored.number, restored.comment) == (3, "Back to version 1")
    assert changes == ['models/own/name changes from "New" to "Old"']
    assert [price.since for price in desk.in_force().models["own"].prices] == [BEGAN - DAY, BEGAN + DAY]
    with pytest.raises(NotFound):
        desk.publisher.restore(ACTOR, 9)


def test_the_starting_catalogue_is_published_by_restoring_it(desk: Desk) -> None:
    assert desk.publisher.restore(ACTOR, 0)[0].number == 1
    assert "gpt-5.4-nano" in desk.in_force().models


AMOUNTS = st.sampled_from(["0", "0.5", "1", "2.25", "10"])
OFFSETS = st.integers(-3, 6)
WISHES = st.lists(
    st.tuples(st.lists(st.tuples(OFFSETS, AMOUNTS), min_size=1, max_size=4, unique_by=lambda each: each[0])),
    min_size=1,
    max_size=6,
)


@given(wishes=WISHES, restores=st.lists(st.integers(0, 5), max_size=3))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_no_publication_changes_what_a_past_call_costs(
    desk: Desk, wishes: list[tuple[list[tuple[int, str]]]], restores: list[int]
) -> None:
    """Each day an operator publishes prices or restores a version. Past calls are then priced again."""
    with desk.database.transaction() as connection:
        for table in (catalogue_prices, publishing_versions()):
            connection.execute(table.delete())
    tokens, charged, desk.now = Tokens(input=1000, output=100), {}, BEGAN
    for day, (wanted,) in enumerate(wishes):
        desk.now = BEGAN + day * DAY
        kept = [(price.since, price) for price in known(desk) if price.since <= desk.now + 60]
        fresh = [(desk.now + offset * DAY // 2, amount) for offset, amount in sorted(wanted)]
        past = [publishing.written_price(price) for _, price in kept]
        taken = {since for since, _ in kept}
        later = prices(*((at, amount) for at, amount in fresh if at not in taken))
        try:
            desk.publish(with_model("own", prices=sorted([*past, *later], key=lambda price: price["from"])))
            if day in restores:
                desk.publisher.restore(ACTOR, max(1, day - 1))
        except ServiceError:
            pass
        if desk.publisher.current().number:
            for at, (version, amount) in charged.items():
                price = desk.in_force().models["own"].price(at)
                assert (price.version, cost(price, tokens)) == (version, amount)
            price = desk.in_force().models["own"].price(desk.now)
            charged[desk.now] = (price.version, cost(price, tokens))


def known(desk: Desk) -> Sequence[Any]:
    if not desk.publisher.current().number:
        return ()
    return desk.in_force().models["own"].prices


def publishing_versions() -> Any:
    from opencode_cloud.schema.catalogue import catalogue_versions

    return catalogue_versions
