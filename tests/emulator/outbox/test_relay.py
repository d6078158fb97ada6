"""The path from a commit to the other planes when the committing process is killed."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from opencode_cloud.access.models import ProjectionKey, ProjectionKind
from opencode_cloud.contracts.ids import TransactionId
from opencode_cloud.contracts.outbox import OutboxMessage, Topic
from opencode_cloud.kit.clock import now_seconds, utc_now
from opencode_cloud.outbox import service
from opencode_cloud.outbox.deliveries import RelayQueue
from opencode_cloud.outbox.service import WakeUp, by_topic
from opencode_cloud.outbox.store import OutboxStore
from opencode_cloud.schema.outbox import outbox
from opencode_cloud.schema.workspaces import workspaces
from tests.emulator.outbox.planes import Planes


class Killed(BaseException):
    """It stands for a signal, so no error handler may catch it."""


def die(_messages: Sequence[OutboxMessage]) -> None:
    raise Killed


def rename(planes: Planes, workspace: str, name: str, relay: service.Relay) -> None:
    with planes.outbox_with(relay).unit() as unit:
        unit.connection.execute(update(workspaces).where(workspaces.c.id == workspace).values(name=name))
        unit.emit(Topic.WORKSPACE, workspace)


def test_a_unit_is_relayed_as_soon_as_it_is_committed(planes: Planes) -> None:
    team = planes.found()
    rename(planes, team.workspace, "Ajax", planes.projection.relay)
    assert b"Ajax" in (planes.projected(ProjectionKey(ProjectionKind.WORKSPACE, team.workspace)) or b"")
    assert planes.deliver() == 1


def test_who_dies_after_the_commit_leaves_a_wake_up(planes: Planes) -> None:
    team = planes.found()
    with pytest.raises(Killed):
        rename(planes, team.workspace, "Ajax", die)
    assert planes.projected(ProjectionKey(ProjectionKind.WORKSPACE, team.workspace)) is None
    assert planes.deliver() == 1
    assert b"Ajax" in (planes.projected(ProjectionKey(ProjectionKind.WORKSPACE, team.workspace)) or b"")


def test_a_relay_that_fails_is_left_to_the_queue_and_the_caller_does_not_notice(planes: Planes) -> None:
    def fail(_messages: Sequence[OutboxMessage]) -> None:
        raise ConnectionError("no DynamoDB")

    team = planes.found()
    rename(planes, team.workspace, "Ajax", fail)
    assert planes.deliver() == 1
    assert b"Ajax" in (planes.projected(ProjectionKey(ProjectionKind.WORKSPACE, team.workspace)) or b"")


def test_a_wake_up_before_the_commit_comes_again_until_it_is_committed(planes: Planes) -> None:
    team = planes.found()
    store = OutboxStore(planes.database, planes.queue_url)
    connection = planes.database.engine.connect()
    transaction = connection.begin()
    connection.execute(update(workspaces).where(workspaces.c.id == team.workspace).values(name="Ajax"))
    store.add(connection, TransactionId("txn_slow"), [(Topic.WORKSPACE, team.workspace, None)])
    store.wake(WakeUp(TransactionId("txn_slow"), now_seconds()))
    assert [planes.deliver(), planes.deliver()] == [1, 1]
    assert planes.projected(ProjectionKey(ProjectionKind.WORKSPACE, team.workspace)) is None
    transaction.commit()
    connection.close()
    assert planes.deliver() == 1
    assert b"Ajax" in (planes.projected(ProjectionKey(ProjectionKind.WORKSPACE, team.workspace)) or b"")
    assert planes.deliver() == 0


def test_a_wake_up_of_what_was_rolled_back_is_dropped_when_its_time_is_over(planes: Planes) -> None:
    store = OutboxStore(planes.database, planes.queue_url)
    store.wake(WakeUp(TransactionId("txn_never"), now_seconds() - service.FATE_KNOWN_AFTER_SECONDS))
    assert planes.deliver() == 1
    assert planes.deliver() == 0


def test_a_unit_that_raises_changes_nothing_and_sends_nothing(planes: Planes) -> None:
    team = planes.found()

    def change_and_raise() -> None:
        with planes.outbox.unit() as unit:
            unit.connection.execute(update(workspaces).where(workspaces.c.id == team.workspace).values(name="Ajax"))
            unit.emit(Topic.WORKSPACE, team.workspace)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        change_and_raise()
    assert planes.received() == []
    with planes.database.transaction() as connection:
        assert connection.execute(select(workspaces.c.name)).scalars().all() == ["Acme"]


def test_what_everybody_left_behind_is_relayed_with_the_next_wake_up(planes: Planes) -> None:
    team = planes.found()
    with pytest.raises(Killed):
        rename(planes, team.workspace, "Ajax", die)
    assert len(planes.received()) == 1  # and lost
    with planes.database.transaction() as connection:
        connection.execute(update(outbox).values(created_at=utc_now() - timedelta(minutes=5)))
    other = planes.found()
    rename(planes, other.workspace, "Other", planes.projection.relay)
    planes.deliver()
    assert b"Ajax" in (planes.projected(ProjectionKey(ProjectionKind.WORKSPACE, team.workspace)) or b"")


def test_relayed_messages_are_deleted_after_a_week_and_others_never(planes: Planes) -> None:
    team = planes.found()
    for name in ("a", "b", "c"):
        rename(planes, team.workspace, name, planes.projection.relay)
    long_ago = utc_now() - timedelta(days=8)
    with planes.database.transaction() as connection:
        oldest = connection.execute(select(func.min(outbox.c.id))).scalar_one()
        connection.execute(update(outbox).where(outbox.c.id <= oldest).values(relayed_at=long_ago))
    planes.outbox.tidy()
    with planes.database.transaction() as connection:
        assert connection.execute(select(func.count()).select_from(outbox)).scalar_one() == 2


def test_a_batch_loses_nothing_to_a_message_that_cannot_be_read(planes: Planes) -> None:
    team = planes.found()
    with pytest.raises(Killed):
        rename(planes, team.workspace, "Ajax", die)
    records = [{"messageId": "bad", "receiptHandle": "r", "body": "{"}, *planes.received()]
    answer = RelayQueue(planes.outbox).handle({"Records": records})
    assert answer == {"batchItemFailures": [{"itemIdentifier": "bad"}]}
    assert b"Ajax" in (planes.projected(ProjectionKey(ProjectionKind.WORKSPACE, team.workspace)) or b"")


def test_messages_go_to_the_relay_of_their_topic() -> None:
    seen: list[tuple[str, int]] = []
    relay = by_topic(
        {Topic.MAIL: lambda messages: seen.extend(("mail", each.id) for each in messages)},
        lambda messages: seen.extend(("projection", each.id) for each in messages),
    )
    relay(
        [OutboxMessage(number, topic, "x", None, relayed=False) for number, topic in enumerate((Topic.KEY, Topic.MAIL))]
    )
    assert sorted(seen) == [("mail", 1), ("projection", 0)]
