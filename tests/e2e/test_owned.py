"""opencode 1.18.33 with a console account: shares as a member of a workspace, imports with a login and without.

The test writes the login into the client's database (identity's tests drive `console login`). Every request is the
client's own.
"""

from __future__ import annotations

from typing import Any

import pytest

from local.stack import LocalStack
from tests.integration.projected import People, Person
from tests.waiting import eventually

from .conftest import MakeHome
from .model import script
from .opencode import Client
from .shares import Share, local_items, wait_for_complete_copy

pytestmark = pytest.mark.e2e


@pytest.fixture
def people(stack: LocalStack) -> People:
    return People(stack)


def read(share: Share, person: Person, workspace: str) -> dict[str, Any]:
    """Return the items of a share as a signed-in client of `person` reads them."""
    answer = share.read_as(person.client(workspace))
    assert answer.status_code == 200, answer.text
    return {item["type"]: item["data"] for item in answer.json()}


def check_for_members_only(share: Share, person: Person, workspace: str) -> None:
    assert share.get(f"/api/share/{share.id}/data").status_code == 401
    assert share.get(f"/share/{share.id}.json").status_code == 401
    assert read(share, person, workspace)


@pytest.mark.slow
def test_a_member_shares_a_session_with_the_workspace_and_takes_it_back(make_home: MakeHome, people: People) -> None:
    workspace = people.workspace(share_mode="workspace")
    owner = people.member(workspace)
    home = make_home()
    home.become(owner.account, owner.token, workspace)
    with home.serve() as client:
        session = client.start_session()
        session.prompt(script(say="For members only."))
        share = Share.at(session.share())
        eventually(lambda: check_for_members_only(share, owner, workspace))
        session.prompt(script(say="And a second turn."))

        def arrived() -> None:
            answer = share.read_as(owner.client(workspace))
            assert "And a second turn." in answer.text

        eventually(arrived)
        session.unshare()
        assert share.read_as(owner.client(workspace)).status_code == 410


@pytest.mark.slow
def test_a_session_shared_before_login_goes_on_under_its_owner(make_home: MakeHome, people: People) -> None:
    workspace = people.workspace(share_mode="workspace")
    owner = people.member(workspace)
    home = make_home()
    with home.serve() as client:
        session = client.start_session()
        session.prompt(script(say="Before login."))
        share = Share.at(session.share())
        wait_for_complete_copy(session, share)

        home.become(owner.account, owner.token, workspace)
        session.prompt(script(say="After login."))
        eventually(lambda: check_for_members_only(share, owner, workspace))
        assert "After login." in share.read_as(owner.client(workspace)).text
        assert Share.at(session.share()).id == share.id, "sharing again brings a new secret"

        home.become(owner.account, owner.token, None)
        session.prompt(script(say="After logout."))

        def arrived() -> None:
            assert "After logout." in share.read_as(owner.client(workspace)).text

        eventually(arrived)
        check_for_members_only(share, owner, workspace)
        session.unshare()
        assert share.read_as(owner.client(workspace)).status_code == 410


@pytest.mark.slow
def test_only_a_member_s_client_imports_a_workspace_s_share(
    make_home: MakeHome, client: Client, people: People
) -> None:
    workspace = people.workspace(share_mode="workspace")
    owner, colleague, stranger = people.member(workspace), people.member(workspace), people.person()
    elsewhere = people.workspace()
    people.join(stranger, elsewhere)
    home = make_home()
    home.become(owner.account, owner.token, workspace)
    with home.serve() as sharing:
        session = sharing.start_session()
        session.prompt(script(say="Something to take along."))
        share = Share.at(session.share())
        expected = local_items(session).keys()
        eventually(lambda: check_for_members_only(share, owner, workspace))

        def complete() -> None:
            assert len(share.read_as(owner.client(workspace)).json()) >= len(expected)

        eventually(complete)

    for person, place in ((None, None), (stranger, elsewhere)):
        outside = make_home()
        if person is not None:
            outside.become(person.account, person.token, place)
        said = outside.try_to_run("import", share.url)
        assert "Imported session" not in said
        assert "Something to take along." not in said

    inside = make_home()
    inside.become(colleague.account, colleague.token, workspace)
    assert "Imported session" in inside.run("import", share.url)
