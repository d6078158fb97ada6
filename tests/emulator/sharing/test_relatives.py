"""A share finds the shares of its sub-agents: those of the same publisher, for readers who may read them."""

from __future__ import annotations

import pytest

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.sharing.models import Mode
from opencode_cloud.sharing.service.access import Visitor
from tests.emulator.sharing.plane import Environment, SharedSession
from tests.integration.publisher import part

ELSEWHERE = "203.0.113.9"


def related(cloud: Environment, parent: SharedSession, child: SharedSession, visitor: Visitor | None = None) -> bool:
    """Tell whether a reader of ``parent`` gets the link to ``child``."""
    known = cloud.store.share(child.id)
    name = known.pseudonym if known else child.session_id
    found = cloud.reading.relatives(cloud.row(parent.id), [name, "ses_other"], visitor or Visitor())
    assert set(found.values()) <= {child.id}
    return found == {name: child.id}


def test_shares_of_one_network_find_each_other_and_no_others(cloud: Environment) -> None:
    parent, child, foreign = cloud.share(), cloud.share(), cloud.share(address=ELSEWHERE)
    assert related(cloud, parent, child)
    assert related(cloud, child, parent)
    assert not related(cloud, parent, foreign)
    assert not related(cloud, foreign, child)
    assert not related(cloud, parent, parent), "a share is no sub-agent of its own"


def test_a_share_of_the_same_session_by_another_publisher_is_not_taken_for_it(cloud: Environment) -> None:
    parent, child = cloud.share(), cloud.share()
    cloud.share(child.session_id, address=ELSEWHERE)
    assert related(cloud, parent, child)


def test_shares_of_an_owner_are_no_relatives_of_another_member(cloud: Environment) -> None:
    workspace = cloud.plane.people.workspace()
    ada, bob = (cloud.plane.people.member(workspace) for _ in range(2))
    parent, child = (cloud.share(actor=cloud.actor(ada, workspace)) for _ in range(2))
    foreign = cloud.share(actor=cloud.actor(bob, workspace))
    assert related(cloud, parent, child)
    assert not related(cloud, parent, foreign)
    assert not related(cloud, cloud.share(), child)


def test_a_reader_learns_only_of_shares_that_they_may_read(cloud: Environment) -> None:
    workspace = cloud.plane.people.workspace()
    ada, bob = (cloud.plane.people.member(workspace) for _ in range(2))
    actor = cloud.actor(ada, workspace)
    parent, child = cloud.share(actor=actor), cloud.share(actor=actor)
    cloud.change(child.id, actor, mode=Mode.WORKSPACE)
    assert not related(cloud, parent, child)
    assert related(cloud, parent, child, Visitor(bob.browser))
    cloud.plane.people.remove(bob, workspace)
    assert not related(cloud, parent, child, Visitor(bob.browser))


def test_a_claimed_share_moves_to_its_owner(cloud: Environment) -> None:
    workspace = cloud.plane.people.workspace()
    actor = cloud.actor(cloud.plane.people.member(workspace), workspace)
    anonymous, child, parent = cloud.share(), cloud.share(), cloud.share(actor=actor)
    assert related(cloud, anonymous, child)
    child.sync(part("1"), actor=actor)
    assert not related(cloud, anonymous, child)
    assert related(cloud, parent, child)


@pytest.mark.parametrize("claimed", [False, True])
def test_nothing_of_a_removed_share_is_left(cloud: Environment, claimed: bool) -> None:
    parent, child = cloud.share(), cloud.share()
    name = cloud.row(child.id).pseudonym
    if claimed:
        workspace = cloud.plane.people.workspace()
        child.sync(part("1"), actor=cloud.actor(cloud.plane.people.member(workspace), workspace))
    cloud.deletion.delete(cloud.row(child.id), "unshared")
    assert cloud.reading.relatives(cloud.row(parent.id), [name], Visitor()) == {}
    rows = cloud.plane.emulator.rows(cloud.plane.shares)
    pointing = [row for row in rows if row.get("share_id", {}).get("S") == child.id]
    assert pointing == []


def test_the_share_that_is_made_after_an_unshare_is_the_relative(cloud: Environment) -> None:
    parent, child = cloud.share(), cloud.share()
    cloud.deletion.delete(cloud.row(child.id), "unshared")
    again = cloud.share(child.session_id)
    assert ShareId(again.id) != child.id
    assert related(cloud, parent, again)
