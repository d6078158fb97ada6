"""A refused form shows again exactly what was sent, so that the corrected form does what the person chose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from opencode_cloud.contracts.permissions import KeyScope, Role
from opencode_cloud.keys.service import CreateKey
from tests.browsing import Page
from tests.unit.console.office import Office

if TYPE_CHECKING:
    from collections.abc import Mapping

NOT_KEPT = {"token", "once", "version", "password", "secret"}
NAMELESS = "a\u202eb"
"""A name that is refused. It has a mark of direction."""


def kept(office: Office, page: str, action: str, sent: Mapping[str, str], status: int = 422) -> Page:
    """Send a form that is refused; its fields afterwards must be the sent ones. A box that is not sent stays empty."""
    browser = office.browser(Role.OWNER)
    form = browser.open(office.base + page).forms[office.base + action]
    hidden = {name: value for name, value in form.fields.items() if name in NOT_KEPT}
    answer: Any = browser.go(office.base + action, {**hidden, **sent})
    shown = Page(answer)
    fields = shown.forms[office.base + action].fields
    assert shown.status == status, shown.text
    assert {name: value for name, value in fields.items() if name not in NOT_KEPT} == dict(sent)
    return shown


def test_a_transfer_keeps_the_chosen_owner(office: Office) -> None:
    office.fill()
    for role in Role:
        member = office.acting(office.people[role]).id
        if role is not Role.OWNER:
            kept(office, "/settings", "/settings/transfer", {"member": member, "transfer_name": "acme"})


@pytest.mark.parametrize("joins", [{}, {"auto_join": "on"}])
@pytest.mark.parametrize("role", ["member", "viewer"])
def test_a_domain_keeps_its_role_and_whether_people_join(office: Office, role: str, joins: dict[str, str]) -> None:
    kept(office, "/settings", "/settings/domains", {"domain": "no domain", "role": role, **joins})


def test_settings_keep_what_was_emptied(office: Office) -> None:
    browser, page = office.browser(Role.OWNER), f"{office.base}/settings"
    sent = {"metadata_days": "7", "project_headers": "x-cost-center"}
    browser.submit(browser.open(page), f"{page}/usage", **sent)
    kept(office, "/settings", "/settings/usage", {"metadata_days": "9999", "project_headers": ""})
    kept(office, "/settings", "/settings", {"name": "", "audit_retention_days": ""})


def test_a_budget_keeps_whether_people_are_notified(office: Office) -> None:
    browser, page = office.browser(Role.OWNER), f"{office.base}/budgets"
    browser.submit(browser.open(page), page, subject="workspace:", limit="5", unit="cost", period="month")
    [budget] = office.plane_budgets()
    path = f"/budgets/{budget.id}"
    kept(office, path, path, {"limit": "much"})
    kept(office, path, path, {"limit": "much", "alerts": "on"})


def test_a_rotation_keeps_when_the_old_key_ends(office: Office) -> None:
    actor = office.acting(office.owner)
    wanted = CreateKey(name="ci", scopes=[KeyScope.INFERENCE], models=["a/*"])
    key = office.team.keys.create(actor, office.workspace, wanted)
    browser, path = office.browser(Role.OWNER), f"{office.base}/keys/{key.id}/rotate"
    shown = browser.open(path)
    office.team.keys.revoke(actor, office.workspace, key.id)
    refused = browser.submit(shown, path, overlap="0")
    assert (refused.status, refused.forms[path].fields["overlap"]) == (409, "0")


@pytest.mark.parametrize(
    ("page", "action", "sent", "status"),
    [
        ("/keys", "/service-accounts", {"name": NAMELESS}, 400),
        ("/keys", "/service-accounts", {"name": "n" * 201}, 422),
        ("/groups", "/groups", {"name": NAMELESS}, 400),
        ("/members", "/invitations", {"email": "nobody", "role": "billing"}, 422),
        ("/budgets/alerts", "/budgets/alerts/webhook", {"url": "ftp://example.com"}, 422),
        ("/usage/exports", "/usage/exports", {"from": "2027-01-31", "to": "soon", "format": "parquet"}, 422),
    ],
)
def test_other_forms_keep_their_fields(
    office: Office, page: str, action: str, sent: dict[str, str], status: int
) -> None:
    kept(office, page, action, sent, status)


def test_a_restored_version_keeps_its_comment(office: Office) -> None:
    browser, page = office.browser(Role.OWNER), f"{office.base}/policy"
    for model in ("a/b", "a/c"):
        browser.submit(browser.open(page), page, default_model=model)
    path = "/policy/versions/1"
    kept(office, path, f"{path}/restore", {"comment": NAMELESS}, 400)


def test_a_service_account_is_refused_at_its_own_field(office: Office) -> None:
    shown = kept(office, "/keys", "/service-accounts", {"name": "n" * 201})
    assert 'href="#machine"' in shown.answer.text
    assert shown.forms[f"{office.base}/keys"].fields["name"] == ""


def test_a_key_does_not_keep_a_limit_in_silence(office: Office) -> None:
    actor = office.acting(office.owner)
    wanted = CreateKey(name="ci", scopes=[KeyScope.INFERENCE], models=["a/*"], networks=["203.0.113.0/24"])
    key = office.team.keys.create(actor, office.workspace, wanted)
    path = f"/keys/{key.id}"
    sent = {"name": "", "scopes": "inference", "models": "", "networks": ""}
    shown = kept(office, path, path, sent)
    for field in ("name", "models", "networks"):
        assert f'href="#{field}"' in shown.answer.text
    assert office.team.keys.get(actor, office.workspace, key.id).models == ["a/*"]


def test_a_group_keeps_its_rules(office: Office) -> None:
    group = office.team.groups.create(office.acting(office.owner), office.workspace, "Labs", None)
    path = f"/groups/{group.id}"
    kept(office, path, path, {"name": "", "allow": "a/*\nb/*", "deny": "c/*"})
