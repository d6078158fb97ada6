"""The pages of the console over HTTP: permissions, forms, and their effects."""

from __future__ import annotations

import json
import re
import secrets

import httpx
import pytest
from sqlalchemy import select

from local.stack import LocalStack
from opencode_cloud.contracts.permissions import Permission, Role, allows
from opencode_cloud.kit.sql import Database
from opencode_cloud.schema.mail import mails
from tests.browsing import Browser, Page
from tests.integration.people import People, Person
from tests.menu import console_menu
from tests.waiting import PATIENCE, until

PAGES = {page.path: page.permission for page in console_menu()}
FORMS = {
    "/members": Permission.MEMBER_UPDATE,
    "/members/mem_x/remove": Permission.MEMBER_REMOVE,
    "/invitations": Permission.MEMBER_INVITE,
    "/invitations/inv_x/resend": Permission.MEMBER_INVITE,
    "/invitations/inv_x/revoke": Permission.MEMBER_INVITE,
    "/keys": Permission.KEY_OWN,
    "/keys/key_x": Permission.KEY_OWN,
    "/keys/key_x/rotate": Permission.KEY_OWN,
    "/keys/key_x/revoke": Permission.KEY_OWN,
    "/groups": Permission.GROUP_MANAGE,
    "/groups/grp_x": Permission.GROUP_MANAGE,
    "/groups/grp_x/members": Permission.GROUP_MANAGE,
    "/groups/grp_x/members/remove": Permission.GROUP_MANAGE,
    "/groups/grp_x/delete": Permission.GROUP_MANAGE,
    "/service-accounts": Permission.SERVICE_ACCOUNT_MANAGE,
    "/service-accounts/svc_x/disable": Permission.SERVICE_ACCOUNT_MANAGE,
    "/service-accounts/svc_x/enable": Permission.SERVICE_ACCOUNT_MANAGE,
    "/policy": Permission.POLICY_MANAGE,
    "/policy/versions/1/restore": Permission.POLICY_MANAGE,
    "/configuration": Permission.CONFIGURATION_MANAGE,
    "/configuration/versions/1/restore": Permission.CONFIGURATION_MANAGE,
    "/shares/revoke": Permission.SHARE_OWN,
    "/shares/shr_x": Permission.SHARE_OWN,
    "/budgets": Permission.BUDGET_MANAGE,
    "/budgets/bud_x": Permission.BUDGET_MANAGE,
    "/budgets/bud_x/delete": Permission.BUDGET_MANAGE,
    "/budgets/alerts/webhook": Permission.BUDGET_MANAGE,
    "/budgets/alerts/webhook/test": Permission.BUDGET_MANAGE,
    "/budgets/alerts/webhook/remove": Permission.BUDGET_MANAGE,
    "/playground": Permission.INFERENCE,
    "/providers": Permission.PROVIDER_MANAGE,
    "/providers/prv_x": Permission.PROVIDER_MANAGE,
    "/providers/prv_x/test": Permission.PROVIDER_MANAGE,
    "/providers/prv_x/remove": Permission.PROVIDER_MANAGE,
    "/settings": Permission.WORKSPACE_UPDATE,
    "/settings/usage": Permission.WORKSPACE_UPDATE,
    "/settings/domains": Permission.DOMAIN_MANAGE,
    "/settings/domains/dom_x/verify": Permission.DOMAIN_MANAGE,
    "/settings/domains/dom_x/remove": Permission.DOMAIN_MANAGE,
    "/settings/transfer": Permission.WORKSPACE_TRANSFER,
    "/settings/leave": Permission.WORKSPACE_READ,
    "/settings/delete": Permission.WORKSPACE_DELETE,
}


class Office:
    """A workspace with a person of every role, each with a browser."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.people = People(stack)
        owner = self.people.somebody()
        self.workspace = owner.found("Acme & <b>Sons</b>")
        self.persons = {Role.OWNER: owner}
        for role in Role:
            if role is not Role.OWNER:
                self.persons[role] = self.people.joined(owner, self.workspace, role)
        self.base = f"/console/{self.workspace}"

    def browser(self, who: Role | Person) -> Browser:
        person = self.persons[who] if isinstance(who, Role) else who
        browser = Browser(self.stack.url)
        browser.http.cookies.set("opencode_session", person.cookie)
        return browser

    def open(self, who: Role | Person, path: str) -> tuple[Browser, Page]:
        browser = self.browser(who)
        return browser, browser.open(self.base + path)

    def newcomer(self, role: Role = Role.MEMBER) -> Person:
        return self.people.joined(self.persons[Role.OWNER], self.workspace, role)

    def member_id(self, person: Person) -> str:
        found = self.persons[Role.OWNER].http.get(
            f"/api/v1/workspaces/{self.workspace}/members", params={"search": person.email}
        )
        return found.json()["data"][0]["id"]

    def actions(self) -> list[str]:
        found = self.persons[Role.OWNER].http.get(f"/api/v1/workspaces/{self.workspace}/audit")
        return [entry["action"] for entry in found.json()["data"]]


@pytest.fixture(scope="module")
def office(stack: LocalStack) -> Office:
    return Office(stack)


def works(client: httpx.Client) -> bool:
    """Tell whether a key is valid. A workspace without a policy has no config (404)."""
    answer = client.get("/api/config")
    assert answer.status_code in {200, 401, 404}
    return answer.status_code != 401


def address() -> str:
    return f"{secrets.token_hex(6)}@example.com"


@pytest.mark.parametrize("role", Role)
def test_a_page_opens_for_whose_role_permits_it_and_for_nobody_else(office: Office, role: Role) -> None:
    browser = office.browser(role)
    for path, permission in PAGES.items():
        answer = browser.go(office.base + path)
        assert answer.status_code == (200 if allows(role, None, permission) else 403), path
        assert "<b>Sons" not in answer.text
        assert "script" not in answer.headers["content-security-policy"].replace("script-src 'self'", "")
        assert "style=" not in answer.text


@pytest.mark.parametrize("role", Role)
def test_the_menu_and_the_forms_are_those_that_the_role_permits(office: Office, role: Role) -> None:
    _, shown = office.open(role, "")
    for path, permission in PAGES.items():
        assert (office.base + path in shown.links) == allows(role, None, permission), path
    _, members = office.open(role, "/members")
    assert (f"{office.base}/invitations" in members.forms) == allows(role, None, Permission.MEMBER_INVITE)
    removals = [link for link in members.links if link.endswith("/remove")]
    assert bool(removals) == allows(role, None, Permission.MEMBER_REMOVE)


@pytest.mark.parametrize("role", Role)
def test_a_form_is_refused_from_whose_role_does_not_permit_it_and_from_other_sites(office: Office, role: Role) -> None:
    browser = office.browser(role)
    for path, permission in FORMS.items():
        refused = browser.http.post(office.base + path, data={"token": "x"}, headers={"Sec-Fetch-Site": "same-origin"})
        words = "no longer valid" if allows(role, None, permission) else "not include"
        assert (refused.status_code, words in refused.text) == (403, True), path
        foreign = browser.http.post(office.base + path, data={"token": "x"}, headers={"Sec-Fetch-Site": "cross-site"})
        assert foreign.status_code == 403
        assert "page of this site" in foreign.text


def test_strangers_and_who_is_not_signed_in_learn_nothing(office: Office) -> None:
    stranger = office.people.somebody()
    for path in PAGES:
        assert office.browser(stranger).go(office.base + path).status_code == 404
        away = Browser(office.stack.url).go(office.base + path)
        assert away.status_code == 303
        assert away.headers["location"].startswith("/login?continue=")


def test_a_key_is_not_let_into_the_pages(office: Office) -> None:
    key = office.persons[Role.OWNER].key(office.workspace, scopes=["admin"])
    answer = httpx.get(office.stack.url + office.base, headers={"Authorization": f"Bearer {key}"}, timeout=PATIENCE)
    assert answer.status_code == 303


def test_the_console_begins_at_the_only_workspace_or_at_the_list(office: Office) -> None:
    alone = office.browser(Role.MEMBER).open("/console")
    assert alone.path == office.base
    assert f"opencode console login {office.stack.url}" in alone.text
    none = office.browser(office.people.somebody()).open("/console")
    assert "in no workspace yet" in none.text


def test_a_form_of_one_page_does_not_pass_for_another(office: Office) -> None:
    browser, members = office.open(Role.ADMIN, "/members")
    token = members.forms[f"{office.base}/invitations"].fields["token"]
    victim = office.member_id(office.newcomer())
    crossed = browser.http.post(
        f"{office.base}/members/{victim}/remove", data={"token": token}, headers={"Sec-Fetch-Site": "same-origin"}
    )
    assert crossed.status_code == 403
    other, _ = office.open(Role.OWNER, "/members")
    stolen = other.http.post(
        f"{office.base}/invitations",
        data={"token": token, "email": address(), "role": "member"},
        headers={"Sec-Fetch-Site": "same-origin"},
    )
    assert stolen.status_code == 403


def test_an_admin_invites_sends_again_and_withdraws(office: Office) -> None:
    browser, members = office.open(Role.ADMIN, "/members")
    email, action = address(), f"{office.base}/invitations"
    invited = browser.submit(members, action, email=email, role="viewer")
    assert "Invitation sent" in invited.text
    assert email in invited.text
    twice = browser.submit(invited, action, email=email, role="viewer")
    assert twice.status == 409
    assert "has an open invitation" in twice.text
    wrong = browser.submit(invited, action, email="nobody", role="viewer")
    assert wrong.status == 422
    owner = browser.submit(invited, action, email=address(), role="owner")
    assert (owner.status, "Only an owner" in owner.text) == (403, True)
    again = next(form for form in invited.forms if form.endswith("/resend"))
    early = browser.submit(invited, again)
    assert early.status == 429
    withdrawn = browser.submit(invited, again.replace("resend", "revoke"))
    assert "withdrawn" in withdrawn.text
    assert email not in withdrawn.text
    assert office.actions()[:2] == ["invitation.revoked", "invitation.created"]


def test_an_admin_gives_roles_below_owner_and_the_last_owner_stays(office: Office) -> None:
    person = office.newcomer()
    browser, members = office.open(Role.ADMIN, "/members")
    action, role = f"{office.base}/members", f"role:{office.member_id(person)}"
    changed = browser.submit(members, action, **{role: "viewer"})
    assert "Roles changed" in changed.text
    raised = browser.submit(changed, action, **{role: "owner"}, confirmed="1")
    assert (raised.status, "Only an owner" in raised.text) == (403, True)
    nonsense = browser.submit(changed, action, **{role: "emperor"})
    assert nonsense.status == 422
    owners, all_ = office.open(Role.OWNER, "/members")
    own = f"role:{office.member_id(office.persons[Role.OWNER])}"
    last = owners.submit(all_, action, **{own: "member"})
    assert (last.status, "needs an owner" in last.text) == (409, True)


def test_a_removed_persons_key_is_refused_within_moments(office: Office) -> None:
    person = office.newcomer()
    key = person.key(office.workspace)
    client = office.people.with_key(key)
    assert works(client)
    browser, members = office.open(Role.ADMIN, "/members")
    path = f"{office.base}/members/{office.member_id(person)}/remove"
    assert path in members.links
    asked = browser.open(path)
    assert person.email in asked.text
    removed = browser.submit(asked, path)
    assert "Member removed" in removed.text
    assert person.email not in removed.text
    until(lambda: not works(client))
    assert office.browser(person).go(office.base).status_code == 404
    assert "member.removed" in office.actions()


def test_a_key_is_shown_once_works_and_can_be_revoked(office: Office) -> None:
    browser, keys = office.open(Role.MEMBER, "/keys")
    made = browser.submit(keys, f"{office.base}/keys", name="laptop <i>", scopes="inference", days="30")
    secret = re.search(r">(oc_sk_[\w-]{43})<", made.answer.text)
    assert secret
    client = office.people.with_key(secret[1])
    assert works(client)
    listed = browser.open(f"{office.base}/keys")
    assert secret[1] not in listed.answer.text
    assert "<i>" not in listed.answer.text
    revoke = next(link for link in listed.links if link.endswith("/revoke"))
    assert "within five seconds" in browser.open(revoke).text
    browser.submit(browser.open(revoke), revoke)
    until(lambda: not works(client))


def test_what_a_key_cannot_be_is_said_and_what_was_typed_stays(office: Office) -> None:
    browser, keys = office.open(Role.MEMBER, "/keys")
    action = f"{office.base}/keys"
    wrong = browser.submit(keys, action, name="spare", networks="everywhere", days="7")
    assert wrong.status == 422
    assert "networks" in wrong.text
    assert wrong.forms[action].fields["name"] == "spare"
    assert browser.submit(keys, action, name="spare", days="100000").status == 422
    assert browser.submit(keys, action, name="x" * 256, days="7").status == 422
    machine = browser.submit(keys, action, name="spare", days="7", holder="svc_other")
    assert machine.status == 403


def test_a_member_sees_only_their_own_keys(office: Office) -> None:
    name = secrets.token_hex(4)
    office.persons[Role.ADMIN].key(office.workspace, name=name)
    assert name not in office.open(Role.MEMBER, "/keys")[1].text
    assert name in office.open(Role.OWNER, "/keys")[1].text


def test_a_service_accounts_keys_are_refused_while_it_is_disabled(office: Office) -> None:
    name = secrets.token_hex(4)
    browser, keys = office.open(Role.ADMIN, "/keys")
    made = browser.submit(keys, f"{office.base}/service-accounts", name=name)
    assert name in made.text
    disable = [form for form in made.forms if form.endswith("/disable")][-1]
    machine = disable.split("/")[-2]
    shown = browser.submit(made, f"{office.base}/keys", name="ci", scopes="inference", days="", holder=machine)
    secret = re.search(r">(oc_sk_[\w-]{43})<", shown.answer.text)
    assert secret
    client = office.people.with_key(secret[1])
    assert works(client)
    disabled = browser.submit(made, disable)
    until(lambda: not works(client))
    enabled = browser.submit(disabled, disable.replace("disable", "enable"))
    assert "work again" in enabled.text


def test_the_audit_page_filters_and_leads_to_the_export(office: Office) -> None:
    office.newcomer()
    browser, audit = office.open(Role.ADMIN, "/audit")
    assert "member.added" in audit.text or "member.joined" in audit.text
    filtered = browser.open(f"{office.base}/audit?action=invitation.*")
    assert "invitation.accepted" in filtered.text
    export = next(link for link in filtered.links if "/export?" in link)
    exported = browser.go(export)
    assert exported.headers["content-type"].startswith("text/csv")
    assert "invitation.accepted" in exported.text
    assert browser.go(f"{office.base}/audit?cursor=nonsense").status_code == 400


def policy_of(office: Office) -> dict[str, object]:
    found = office.persons[Role.OWNER].http.get(f"/api/v1/workspaces/{office.workspace}/policy")
    return found.json()["policy"]


def publish_policy(office: Office, **members: object) -> None:
    """Publish the policy by the API, with other members."""
    http, path = office.persons[Role.OWNER].http, f"/api/v1/workspaces/{office.workspace}/policy"
    read = http.get(path)
    changed = {"policy": read.json()["policy"] | members}
    assert http.put(path, json=changed, headers={"If-Match": read.headers["etag"]}).status_code == 200


def test_an_admin_publishes_a_policy_field_by_field_and_goes_back(office: Office) -> None:
    chain = {"model": "acme/m1", "to": ["acme/m2"], "when": ["unavailable"], "budget_percent": 90}
    publish_policy(office, session_budget=500, fallbacks=[chain])
    browser, page = office.open(Role.ADMIN, "/policy")
    action = f"{office.base}/policy"
    # The form keeps what another test of this workspace may have published.
    nothing = {"small_model": "", "default_model": "", "providers_mode": "any", "models_mode": "any"}
    wish = {"share_mode": "workspace", "lifetime": "2", "unit": "hours", "comment": "begin <i>"}
    first = browser.submit(page, action, **nothing, **wish)
    assert "Published" in first.text
    number = int(first.forms[action].fields["version"])
    assert "<i>" not in first.answer.text
    second = browser.submit(
        first,
        action,
        share_mode="off",
        providers_mode="listed",
        providers_allow="anthropic\r\nopenai",
        models_deny="openai/gpt-3*",
        default_model="anthropic/claude",
    )
    assert "Published" in second.text
    assert policy_of(office) == {
        "providers": {"allow": ["anthropic", "openai"], "deny": []},
        "models": {"allow": None, "deny": ["openai/gpt-3*"]},
        "tools": {"allow": None, "deny": []},
        "default_model": "anthropic/claude",
        "small_model": None,
        "share": {"mode": "off", "max_lifetime_seconds": 7200, "redaction": "on", "patterns": []},
        # The form does not show these, and keeps them.
        "session_budget": 500,
        "fallbacks": [chain],
    }
    older = browser.open(f"{action}/versions/{number}")
    assert "/share/mode" in older.text
    back = browser.submit(older, f"{action}/versions/{number}/restore", comment="it was better")
    assert "published again" in back.text
    restored = policy_of(office)
    assert restored["share"] == {
        "mode": "workspace",
        "max_lifetime_seconds": 7200,
        "redaction": "on",
        "patterns": [],
    }
    assert office.actions()[:3] == ["policy.restored", "policy.published", "policy.published"]


def test_what_is_wrong_with_a_policy_is_said_and_changes_nothing(office: Office) -> None:
    browser, page = office.open(Role.ADMIN, "/policy")
    action, before = f"{office.base}/policy", policy_of(office)
    wrong = browser.submit(page, action, share_mode="link", default_model="nonsense", comment="kept")
    assert wrong.status == 422
    assert wrong.forms[action].fields["comment"] == "kept"
    assert 'class="fault">write it as provider/model' in wrong.answer.text
    assert browser.submit(page, action, share_mode="link", lifetime="ten").status == 422
    refused = browser.submit(page, action, share_mode="link", providers_mode="listed", default_model="a/model")
    assert "not among the providers" in refused.text
    assert policy_of(office) == before


def test_a_policy_that_somebody_else_changed_meanwhile_is_not_overwritten(office: Office) -> None:
    action = f"{office.base}/policy"
    one, stale = office.open(Role.ADMIN, "/policy")
    other, page = office.open(Role.OWNER, "/policy")
    other.submit(page, action, share_mode="link", small_model=f"x/{secrets.token_hex(3)}")
    late = one.submit(stale, action, share_mode="off")
    assert (late.status, "was changed after you read it" in late.text) == (412, True)
    assert one.submit(late, action, share_mode="off").status == 412


def test_who_may_only_read_the_policy_gets_no_button(office: Office) -> None:
    _, page = office.open(Role.VIEWER, "/policy")
    assert "Publish</button>" not in page.answer.text
    assert "disabled" in page.answer.text


def test_a_configuration_is_published_and_its_faults_are_shown_at_their_lines(office: Office) -> None:
    browser, page = office.open(Role.ADMIN, "/configuration")
    action = f"{office.base}/configuration"
    good = browser.submit(page, action, text='{"username": "the </textarea><b>team"}')
    assert "Published" in good.text
    assert "<b>team" not in good.answer.text
    wrong = browser.submit(good, action, text='{\n  "username": "team",\n  "autoupdate": 7\n}')
    assert wrong.status == 422
    line = re.search(r'<li class="wrong"><span>(\d+)</span>', wrong.answer.text)
    assert line
    assert line[1] == "3"
    broken = browser.submit(good, action, text='{\n  "username": "team",\n}')
    assert broken.status == 422
    assert "not JSON" in broken.text
    twice = browser.submit(good, action, text='{"username": "a", "username": "b"}')
    assert "twice" in twice.text
    assert browser.submit(good, action, text="[1]").status == 422
    assert browser.submit(good, action, text="[" * 20_000).status == 422
    compiled = office.persons[Role.OWNER].http.get(f"/api/v1/workspaces/{office.workspace}/configuration")
    assert compiled.json()["configuration"]["username"] == "the </textarea><b>team"


def test_programs_are_listed_and_confirmed_by_an_owner_before_they_are_published(office: Office) -> None:
    action = f"{office.base}/configuration"
    text = '{"username": "team", "plugin": ["<b>acme"]}'
    admin, page = office.open(Role.ADMIN, "/configuration")
    refused = admin.submit(page, action, text=text)
    assert (refused.status, "Only an owner" in refused.text) == (403, True)
    owner, page = office.open(Role.OWNER, "/configuration")
    listed = owner.submit(page, action, text=text)
    assert (listed.status, "/plugin" in listed.text, "<b>acme" in listed.answer.text) == (422, True, False)
    other = owner.submit(listed, action, text=text.replace("acme", "evil"))
    assert (other.status, "Publish with these programs" in other.text) == (422, True)
    assert "Published" in owner.submit(other, action, text=text.replace("acme", "evil")).text
    _, page = office.open(Role.OWNER, "/configuration")
    assert "/plugin" in page.text
    left = owner.submit(page, action, text='{"username": "team"}')
    assert "Published" in owner.submit(left, action, text='{"username": "team"}').text


def test_versions_that_are_not_there_are_not_found(office: Office) -> None:
    browser = office.browser(Role.ADMIN)
    for version in ("999", "x", "-1", "9" * 40):
        assert browser.go(f"{office.base}/policy/versions/{version}").status_code == 404


def test_an_invitation_whose_mail_bounced_says_so_and_why(office: Office) -> None:
    stack, email = office.stack, address()
    browser, members = office.open(Role.ADMIN, "/members")
    browser.submit(members, f"{office.base}/invitations", email=email, role="member")
    stack.mailbox.wait(email)
    database = Database(stack.database.access.url())
    with database.transaction() as connection:
        mail = connection.execute(select(mails.c.id).where(mails.c.recipient == email)).scalar_one()
    bounced = [{"emailAddress": email, "diagnosticCode": "smtp; 550 5.1.1 user <unknown>"}]
    event = {
        "eventType": "Bounce",
        "bounce": {"bounceType": "Permanent", "bounceSubType": "General", "bouncedRecipients": bounced},
        "mail": {"messageId": "m", "tags": {"mail": [mail]}},
    }
    function = stack.client("lambda").get_function_configuration(FunctionName=stack.outputs["MailFunctionName"])
    queue = function["Environment"]["Variables"]["MAIL_QUEUE_URL"]
    stack.client("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps(event))
    until(lambda: "mail could not be delivered" in browser.open(f"{office.base}/members").text)
    page = browser.open(f"{office.base}/members")
    assert "user <unknown>" in page.text
    assert "user <unknown>" not in page.answer.text
