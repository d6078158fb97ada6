"""Keys in the console: a form counts once, and each fault is at its field."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest

from opencode_cloud.console import keys
from opencode_cloud.contracts.permissions import KeyScope, Role
from opencode_cloud.keys.service import CreateKey
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


def test_a_new_key_comes_with_the_setup_of_each_agent(office: Office) -> None:
    browser, action = office.browser(Role.MEMBER), f"{office.base}/keys"
    made = browser.submit(browser.open(action), action, name="laptop", scopes="inference", models="anthropic/claude-x")
    [secret] = SECRET.findall(made.answer.text)
    for line in (f"ANTHROPIC_AUTH_TOKEN={secret}", "claude --model claude-x", f"OPENCODE_API_KEY={secret}"):
        assert line in made.text
    usage = browser.submit(browser.open(action), action, name="reports", scopes="usage")
    assert "Connect an agent" not in usage.text


def test_a_key_is_created_with_its_budget(office: Office) -> None:
    browser, action = office.browser(Role.ADMIN), f"{office.base}/keys"
    page = browser.open(action)
    wrong = browser.submit(page, action, name="", scopes="inference", budget="much")
    assert len(re.findall(r'class="fault"', wrong.answer.text)) == 2
    assert names(office) == []
    browser.submit(page, action, name="ci", scopes="inference", budget="25")
    [budget] = office.plane_budgets()
    assert (budget.scope, budget.subject, budget.limit) == ("key", "ci", 25 * 10**8)


def test_a_key_is_rotated_once_and_the_old_one_ends(office: Office) -> None:
    browser, action = office.browser(Role.MEMBER), f"{office.base}/keys"
    browser.submit(browser.open(action), action, name="laptop", scopes="inference", days="7")
    [rotate] = [link for link in browser.open(action).links if link.endswith("/rotate")]
    asked = browser.open(rotate)
    first, again = (browser.submit(asked, rotate, overlap="0") for _ in range(2))
    assert SECRET.findall(first.answer.text) == SECRET.findall(again.answer.text) != []
    assert names(office) == ["laptop"]
    ended = browser.open(f"{action}?ended=1")
    assert ended.text.count("laptop") > browser.open(action).text.count("laptop")


def test_a_key_is_renamed_and_narrowed_by_its_holder(office: Office) -> None:
    browser, action = office.browser(Role.MEMBER), f"{office.base}/keys"
    browser.submit(browser.open(action), action, name="laptop", scopes=["inference", "usage"], days="7")
    one = next(link for link in browser.open(action).links if re.search(r"/keys/key_\w+$", link))
    saved = browser.submit(browser.open(one), one, name="phone", scopes=["usage"], networks="203.0.113.0/24")
    assert "Key changed" in saved.text
    wider = browser.submit(browser.open(one), one, name="phone", scopes=["usage"], networks="0.0.0.0/0")
    assert (wider.status, "narrowed" in wider.text) == (422, True)
    admin = office.browser(Role.ADMIN).open(one)
    assert (admin.status, one in admin.forms) == (200, False)


def test_keys_of_a_service_account_are_listed_and_created_for_it(office: Office) -> None:
    robot = office.team.service_accounts.create(office.acting(office.owner), office.workspace, "robot")
    browser, action = office.browser(Role.ADMIN), f"{office.base}/keys"
    page = browser.open(f"{action}?holder={robot.id}")
    assert "has no key" in page.text
    assert page.forms[action].fields["holder"] == robot.id
    browser.submit(page, action, name="deploy", scopes="inference")
    assert "deploy" in browser.open(f"{action}?holder={robot.id}").text


def test_a_search_finds_keys_by_name_holder_or_last_characters(office: Office) -> None:
    owner, member = office.acting(office.owner), office.acting(office.people[Role.MEMBER])
    create = office.team.keys.create
    laptop = create(owner, office.workspace, CreateKey(name="laptop 100%", scopes=[KeyScope.INFERENCE]))
    create(member, office.workspace, CreateKey(name="desktop", scopes=[KeyScope.INFERENCE]))
    browser, page = office.browser(Role.OWNER), f"{office.base}/keys"

    def found(search: str) -> set[str]:
        text = browser.open(f"{page}?{urlencode({'search': search})}").answer.text
        return {name for name in ("laptop 100%", "desktop") if f"<b>{name}</b>" in text}

    assert found("") == {"laptop 100%", "desktop"}
    assert (found("LAPTOP"), found("0%"), found("%"), found(laptop.suffix)) == (*[{"laptop 100%"}] * 4,)
    assert (found(member.name), found("oc_sk")) == ({"desktop"}, set())
    assert "No key matches “oc_sk”." in browser.open(f"{page}?search=oc_sk").text
    assert "laptop" not in office.browser(Role.MEMBER).open(f"{page}?search=laptop").text.replace("“laptop”", "")


def test_the_search_of_keys_is_kept_on_the_next_page(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = office.acting(office.owner)
    for name in ("a & one", "secundus", "a & three"):
        office.team.keys.create(owner, office.workspace, CreateKey(name=name, scopes=[KeyScope.INFERENCE]))
    monkeypatch.setattr(keys, "DEFAULT_LIMIT", 1)
    browser = office.browser(Role.OWNER)
    first = browser.open(f"{office.base}/keys?search=a+%26&own=1")
    [more] = [link for link in first.links if "cursor=" in link]
    second = browser.open(more)
    assert ("a & three" in first.text, "a & one" in first.text) == (True, False)
    assert ("a & one" in second.text, "secundus" in second.text) == (True, False)
    assert "More keys" not in second.text
