"""Keys in the console: a form counts once, and each fault is at its field."""

from __future__ import annotations

import re

from opencode_cloud.contracts.permissions import Role
from tests.unit.console.office import Office

SECRET = re.compile(r">(oc_sk_[\w-]{43})<")


def names(office: Office) -> list[str]:
    owner = office.acting(office.owner)
    return [key.name for key in office.team.keys.of_workspace(owner, office.workspace)]


def test_a_reload_of_a_new_key_shows_the_same_key_and_creates_no_second_one(office: Office) -> None:
    browser, action = office.browser(Role.MEMBER), f"{office.base}/keys"
    page = browser.open(action)
    first, again = (browser.submit(page, action, name="laptop", scopes="inference", days="7") for _ in range(2))
    assert SECRET.findall(first.answer.text) == SECRET.findall(again.answer.text) != []
    assert names(office) == ["laptop"]
    # The form with other values, after the browser's button "back", is another form.
    browser.submit(page, action, name="desktop", scopes="inference", days="7")
    assert sorted(names(office)) == ["desktop", "laptop"]


def test_another_person_does_not_get_the_answer_to_a_form(office: Office) -> None:
    action = f"{office.base}/keys"
    member, admin = office.browser(Role.MEMBER), office.browser(Role.ADMIN)
    page, theirs = member.open(action), admin.open(action)
    fields = {"once": page.forms[action].fields["once"], "name": "x", "scopes": "inference", "days": "7"}
    first, other = member.submit(page, action, **fields), admin.submit(theirs, action, **fields)
    assert SECRET.findall(first.answer.text) != SECRET.findall(other.answer.text) != []


def test_all_faults_are_said_at_their_fields_in_words_for_people(office: Office) -> None:
    browser, action = office.browser(Role.MEMBER), f"{office.base}/keys"
    page = browser.open(action)
    refused = browser.submit(page, action, name="", scopes=[], days="7")
    assert refused.status == 422
    assert re.findall(r'class="fault">([^<]*)', refused.answer.text) == ["Fill in this field", "Choose at least one"]
    assert 'href="#scopes"' in refused.answer.text
    refused = browser.submit(page, action, name="x", scopes="inference", days="7", networks="banana")
    assert "banana" in str(re.findall(r'class="fault">([^<]*)', refused.answer.text))
    assert refused.forms[action].fields["networks"] == "banana"
    assert "`" not in refused.text
