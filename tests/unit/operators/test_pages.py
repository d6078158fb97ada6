"""The operators' pages: their readers, their changes, and the entries of the audit trail."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from sqlalchemy import select

from opencode_cloud.contracts.permissions import Role
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.dead_letters import DeadLetters
from opencode_cloud.kit.newer_release import NewerRelease
from opencode_cloud.operators.browser import FRESH_SECONDS
from opencode_cloud.operators.store.directory import PAGE_SIZE
from opencode_cloud.schema.audit import audit_entries
from tests.unit.aws import Cloud, by_boto3
from tests.unit.console.office import InProcessBrowser, Office

from .conftest import OPERATOR

PAGES = ("", "/workspaces", "/people", "/queues", "/books")


def entries(office: Office, action: str) -> list[tuple[str, str, str]]:
    columns = (audit_entries.c.actor_kind, audit_entries.c.actor_name, audit_entries.c.target_id)
    with office.database.transaction() as connection:
        found = connection.execute(select(*columns).where(audit_entries.c.action == action))
        return [tuple(row) for row in found]


class TestAdmission:
    @pytest.mark.parametrize("path", PAGES)
    def test_an_operator_reaches_every_page_by_links(
        self, office: Office, operator: InProcessBrowser, path: str
    ) -> None:
        assert operator.open("/operator" + path).status == 200
        assert "/operator" + path in operator.open("/operator").links

    @pytest.mark.parametrize("path", PAGES)
    def test_the_menu_marks_the_page_that_is_open(self, operator: InProcessBrowser, path: str) -> None:
        marked = re.findall(r'<a href="([^"]*)" aria-current="page"', operator.go("/operator" + path).text)
        assert marked == ["/operator" + path]

    def test_the_menu_of_the_account_leads_there_for_operators_only(
        self, office: Office, operator: InProcessBrowser
    ) -> None:
        assert "/operator" in operator.open("/console/new").links
        assert "/operator" not in office.browser(Role.OWNER).open("/console/new").links

    @pytest.mark.parametrize("path", PAGES)
    def test_others_do_not_learn_that_there_are_such_pages(self, office: Office, path: str) -> None:
        for who in (Role.OWNER, Role.ADMIN, office.person("operator@example.com.evil.example")):
            page = office.browser(who).open("/operator" + path)
            assert page.status == 404
            assert "Page not found" in page.text

    def test_a_stage_without_operators_has_no_such_pages(
        self, cloud: Cloud, database: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        closed = Office(cloud, database, monkeypatch)
        assert closed.browser(closed.person(OPERATOR)).open("/operator").status == 404

    def test_a_visitor_is_sent_to_sign_in_and_back(self, office: Office) -> None:
        answer = office.browser(None).go("/operator/people")
        assert answer.status_code == 303
        assert answer.headers["location"] == "/login?continue=%2Foperator%2Fpeople"

    @pytest.mark.parametrize("path", PAGES)
    def test_an_old_sign_in_must_be_renewed(
        self, office: Office, operator: InProcessBrowser, monkeypatch: pytest.MonkeyPatch, path: str
    ) -> None:
        later = now_seconds() + FRESH_SECONDS + 60
        monkeypatch.setattr("opencode_cloud.operators.browser.now_seconds", lambda: later)
        page = operator.open("/operator" + path)
        assert page.status == 403
        assert "Sign in again" in page.text
        ended = operator.go("/logout", page.forms["/logout"].fields)
        assert ended.headers["location"] == "/operator"
        assert operator.go("/operator").headers["location"].startswith("/login?")

    def test_a_blocked_operator_is_refused(self, office: Office, operator: InProcessBrowser) -> None:
        page = operator.open(f"/operator/people?q={OPERATOR}")
        [person] = [link for link in page.links if link.startswith("/operator/people/acc_")]
        operator.submit(operator.open(person), f"{person}/block", confirm=OPERATOR)
        assert operator.go("/operator").status_code == 303

    def test_a_form_of_another_site_or_session_changes_nothing(
        self, office: Office, operator: InProcessBrowser
    ) -> None:
        action = f"/operator/workspaces/{office.workspace}"
        fields = {**operator.open(action).forms[f"{action}/block"].fields, "confirm": "Acme"}
        assert operator.go(f"{action}/block", fields, site="cross-site").status_code == 403
        other = office.browser(office.person("operator2@example.com"))
        assert other.go(f"{action}/block", fields).status_code == 404
        assert operator.go(f"{action}/block", {**fields, "token": "x"}).status_code == 403
        assert entries(office, "workspace.blocked") == []


class TestDirectory:
    def test_a_workspace_is_found_by_name_and_id(self, office: Office, operator: InProcessBrowser) -> None:
        office.team.workspaces.create(office.owner, "100%_Sure <b>")
        for words in ("acm", office.workspace):
            assert f"/operator/workspaces/{office.workspace}" in operator.open(f"/operator/workspaces?q={words}").links
        page = operator.open("/operator/workspaces?q=0%25_S")
        assert "100%_Sure <b>" in page.text
        assert f"/operator/workspaces/{office.workspace}" not in page.links
        assert "No workspace has this name" in operator.open("/operator/workspaces?q=nothing").text

    def test_a_person_is_found_and_shown_with_their_workspaces(
        self, office: Office, operator: InProcessBrowser
    ) -> None:
        page = operator.open(f"/operator/people?q={office.owner.name}")
        shown = operator.open(f"/operator/people/{office.owner.account_id}")
        assert f"/operator/people/{office.owner.account_id}" in page.links
        assert f"/operator/workspaces/{office.workspace}" in shown.links
        assert "owner" in shown.text

    def test_pages_follow_each_other_without_gaps(self, office: Office, operator: InProcessBrowser) -> None:
        for number in range(PAGE_SIZE):
            office.person(f"paged{number}@example.com")
        first = operator.open("/operator/people?q=paged")
        assert len([link for link in first.links if "/people/acc_" in link]) == PAGE_SIZE
        assert not any("after=" in link for link in first.links)
        office.person("paged-more@example.com")
        first = operator.open("/operator/people?q=paged")
        [following] = [link for link in first.links if "after=" in link]
        second = operator.open(following)
        listed = [[link for link in page.links if "/people/acc_" in link] for page in (first, second)]
        assert [len(links) for links in listed] == [PAGE_SIZE, 1]
        assert len(set(listed[0] + listed[1])) == PAGE_SIZE + 1

    def test_an_unknown_subject_is_not_found(self, office: Office, operator: InProcessBrowser) -> None:
        for path in ("/workspaces/wrk_01K0000000000000000000000Z", "/people/acc_1", f"/people/{office.workspace}"):
            assert operator.open("/operator" + path).status == 404

    def test_blocking_needs_the_name_and_is_audited(self, office: Office, operator: InProcessBrowser) -> None:
        page = f"/operator/workspaces/{office.workspace}"
        wrong = operator.submit(operator.open(page), f"{page}/block", confirm="acme")
        assert (wrong.status, "Type this exactly: Acme" in wrong.text) == (422, True)
        blocked = operator.submit(wrong, f"{page}/block", confirm="Acme")
        assert "Blocked. It takes effect within seconds." in blocked.text
        assert office.team.workspaces.look_up(office.workspace).blocked_at
        assert "Unblocked" in operator.submit(blocked, f"{page}/block").text
        assert office.team.workspaces.look_up(office.workspace).blocked_at is None
        for action in ("workspace.blocked", "workspace.unblocked"):
            assert entries(office, action) == [("operator", OPERATOR, office.workspace)]

    def test_a_person_is_blocked_by_their_address(self, office: Office, operator: InProcessBrowser) -> None:
        bob = office.people[Role.MEMBER]
        page = f"/operator/people/{bob.account_id}"
        done = operator.submit(operator.open(page), f"{page}/block", confirm=bob.name)
        assert "blocked" in done.text
        assert entries(office, "account.blocked") == [("operator", OPERATOR, bob.account_id)]


def fail_message(office: Office, queue: str, body: str) -> str:
    """Give a queue a dead-letter queue with one message; return the URL of the latter."""
    sqs: Any = by_boto3("sqs")
    failed = sqs.create_queue(QueueName=f"{queue}Failed")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=failed, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "5"})
    sqs.set_queue_attributes(QueueUrl=office.values[f"{queue}_QUEUE_URL"], Attributes={"RedrivePolicy": policy})
    sqs.send_message(QueueUrl=failed, MessageBody=body)
    return failed


def bodies(url: str) -> list[str]:
    sqs: Any = by_boto3("sqs")
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [message["Body"] for message in found]


class TestQueues:
    def test_a_failed_message_is_counted_and_replayed_once(self, office: Office, operator: InProcessBrowser) -> None:
        failed = fail_message(office, "MAIL", '{"mail": "1"}')
        page = operator.open("/operator/queues")
        [action] = [form for form in page.forms if form.endswith("/replay")]
        assert action == "/operator/queues/mail/replay"
        done = operator.submit(page, action)
        assert "1 message of mail was sent again." in done.text
        assert action not in done.forms
        assert '{"mail": "1"}' in bodies(office.values["MAIL_QUEUE_URL"])
        assert bodies(failed) == []
        assert entries(office, "queue.replayed") == [("operator", OPERATOR, "mail")]

    def test_contents_of_messages_are_not_shown(self, office: Office, operator: InProcessBrowser) -> None:
        fail_message(office, "MAIL", "secret of a mail")
        page = operator.open("/operator/queues")
        done = operator.submit(page, "/operator/queues/mail/replay")
        assert "secret of a mail" not in page.answer.text + done.answer.text

    def test_a_replay_that_fails_half_way_is_on_record(
        self, office: Office, operator: InProcessBrowser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fail_message(office, "MAIL", "x")
        page = operator.open("/operator/queues")

        def fail(*_: object) -> None:
            raise ConnectionError

        monkeypatch.setattr(DeadLetters, "replay", fail)
        assert operator.submit(page, "/operator/queues/mail/replay").status == 500
        assert entries(office, "queue.replayed") == [("operator", OPERATOR, "mail")]

    def test_a_token_of_one_queue_replays_no_other(self, office: Office, operator: InProcessBrowser) -> None:
        fail_message(office, "MAIL", "x")
        token = operator.open("/operator/queues").forms["/operator/queues/mail/replay"].fields["token"]
        assert operator.go("/operator/queues/relay/replay", {"token": token}).status_code == 403
        assert entries(office, "queue.replayed") == []


class TestDeployment:
    def test_the_books_are_shown_and_checked(self, office: Office, operator: InProcessBrowser) -> None:
        page = operator.open("/operator/books")
        assert "Sum, which must be zero" in page.text
        checked = operator.submit(page, "/operator/books/check")
        assert "The books agree." in checked.text
        assert entries(office, "books.checked") == [("operator", OPERATOR, "books")]

    def test_the_release_is_shown_and_the_latest_is_asked_for(
        self, office: Office, operator: InProcessBrowser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answers = iter(["", "v99.1.0", "v0.0.1"])
        monkeypatch.setattr(NewerRelease, "latest", lambda _: next(answers))
        page = operator.open("/operator")
        for words in ("The latest release is unknown", "Release v99.1.0 is available", "This is the latest release."):
            assert words in operator.submit(page, "/operator/release").text

    def test_the_pages_are_in_chinese_too(self, office: Office, operator: InProcessBrowser) -> None:
        operator.accepts = "zh-CN"
        assert "死信队列" in operator.open("/operator/queues").text
