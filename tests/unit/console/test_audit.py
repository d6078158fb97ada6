"""The audit trail in the console: sentences with links, a range, and an export of exactly these entries."""

from __future__ import annotations

from datetime import timedelta

import pytest

from opencode_cloud.contracts.permissions import Role
from opencode_cloud.kit.clock import utc_now
from tests.unit.console.office import Office
from tests.unit.console.test_calls import REASON, refuse


def test_entries_are_sentences_that_lead_to_their_subject(office: Office) -> None:
    owner = office.acting(office.owner)
    robot = office.team.service_accounts.create(owner, office.workspace, "robot <b>")
    page = office.browser(Role.OWNER).open(f"{office.base}/audit")
    assert f"{owner.name} created the service account robot <b>" in page.text
    assert "<b>robot" not in page.answer.text
    assert f"{office.base}/keys?holder={robot.id}" in page.links


def test_a_refusal_says_why(office: Office) -> None:
    member = office.acting(office.people[Role.MEMBER])
    refuse(office, member)
    page = office.browser(Role.ADMIN).open(f"{office.base}/audit?action=call.*")
    assert f"{member.name} was refused a call of gpt-5" in page.text
    assert REASON in page.text


@pytest.mark.parametrize(("days", "found"), [(0, True), (10, False)])
def test_a_range_limits_the_list_and_the_export(office: Office, days: int, found: bool) -> None:
    day = f"{utc_now() - timedelta(days=days):%Y-%m-%d}"
    page = office.browser(Role.ADMIN).open(f"{office.base}/audit?from={day}&to={day}&action=invitation.*")
    assert ("invited" in page.text) == found
    [export] = [link for link in page.links if "/audit/export?" in link]
    assert f"from={day}T00" in export
    assert "action=invitation" in export


def test_every_link_of_an_entry_answers(office: Office) -> None:
    browser = office.browser(Role.OWNER)
    for link in {each for each in browser.open(f"{office.base}/audit").links if each.startswith(office.base)}:
        assert browser.open(link).status == 200, link
