"""The page of exports: request one, follow it, fetch its files, and set the schedule."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from opencode_cloud.audit.models import AuditFilter
from opencode_cloud.composition.services.usage import UsageResources, UsageServices
from opencode_cloud.console.exports import size
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.kit.clock import now_seconds, utc_now
from opencode_cloud.schema.usage import usage_exports
from opencode_cloud.usage.models import Export, ExportRequest, ExportState, UsageExportFormat
from opencode_cloud.usage.store.exports import ExportStore
from tests.unit.console.office import Office
from tests.unit.usage.events import entry

DAY = timedelta(days=1)
PERMITTED = [Role.OWNER, Role.ADMIN, Role.BILLING]


def usage_of(office: Office) -> UsageServices:
    """Return the services of the function `ledger`, which writes exports."""
    resources = UsageResources(
        exports_queue=office.values["EXPORTS_QUEUE_URL"], exports_bucket=office.values["EXPORTS_BUCKET"]
    )
    return UsageServices.over(office.database, office.plane.outbox, office.plane.audit, resources)


def page_of(office: Office) -> str:
    return f"{office.base}/usage/exports"


def exports_of(office: Office) -> list[Export]:
    return list(ExportStore(office.database).of_workspace(office.workspace, None, 100))


def write(office: Office, export: Export) -> None:
    """Write the files of an export, as the function `ledger` does."""
    assert usage_of(office).exporting.resume(ExportRequest(export_id=export.id, sent_at=now_seconds()))


def change(office: Office, export: Export, **values: Any) -> None:
    with office.database.transaction() as connection:
        connection.execute(usage_exports.update().where(usage_exports.c.id == export.id).values(values))


def requested(office: Office, role: Role = Role.OWNER, **fields: str) -> Export:
    """Request an export by the page; return it."""
    browser = office.browser(role)
    browser.submit(browser.open(page_of(office)), page_of(office), **fields)
    return exports_of(office)[0]


def days_ago(days: int) -> str:
    return f"{utc_now() - days * DAY:%Y-%m-%d}"


def test_a_person_requests_an_export_of_the_range_of_the_usage_page_and_fetches_its_file(office: Office) -> None:
    yesterday = days_ago(1)
    at = int((utc_now() - DAY).timestamp() * 1000)
    office.ingest([entry(1, workspace_id=office.workspace, at=at, model="=cmd")])
    browser = office.browser(Role.BILLING)
    usage = browser.open(f"{office.base}/usage?from={yesterday}&to={yesterday}")
    [link] = [each for each in usage.links if "/exports?" in each]
    page = browser.open(link.partition("#")[0])
    assert "No exports yet" in page.text
    shown = browser.submit(page, page_of(office))
    assert "Export requested" in shown.text
    assert f"{yesterday} CSV being written" in shown.text
    assert "being written" in shown.text
    assert f"requested by {office.people[Role.BILLING].name}" in shown.text
    [export] = exports_of(office)
    assert (export.until - export.since, export.format) == (DAY, UsageExportFormat.CSV)
    assert not [each for each in shown.links if "part-" in each], "not before it is ready"
    write(office, export)
    ready = browser.open(page_of(office))
    assert "1 call ·" in ready.text
    [file] = [each for each in ready.links if "part-" in each]
    answer = browser.go(file)
    assert (answer.status_code, answer.headers["cache-control"]) == (303, "private, no-store")
    assert f"{export.id}/part-00001.csv?" in answer.headers["location"]
    assert "Signature=" in answer.headers["location"]


def test_each_download_is_in_the_audit_trail(office: Office) -> None:
    export = requested(office)
    write(office, export)
    browser = office.browser(Role.ADMIN)
    browser.open(page_of(office))
    wanted = AuditFilter(action="export.fetched")
    assert not office.plane.audit_reading.find(office.workspace, wanted, None, 9), "to read the list is no download"
    for _ in range(2):
        browser.go(f"{page_of(office)}/{export.id}/part-00001.csv")
    entries = office.plane.audit_reading.find(office.workspace, wanted, None, 9)
    admin = office.people[Role.ADMIN].name
    assert [(each.actor_name, each.target_id) for each in entries] == [(admin, export.id)] * 2


@pytest.mark.parametrize("role", Role)
def test_only_roles_that_read_all_usage_see_the_page_and_its_links(office: Office, role: Role) -> None:
    permitted, browser = role in PERMITTED, office.browser(role)
    export = requested(office)
    write(office, export)
    assert any("/usage/exports" in link for link in browser.open(f"{office.base}/usage").links) == permitted
    assert browser.open(page_of(office)).status == (200 if permitted else 403)
    assert browser.go(f"{page_of(office)}/{export.id}/part-00001.csv").status_code == (303 if permitted else 403)


def test_a_file_of_another_workspace_or_another_name_is_not_found(office: Office) -> None:
    export = requested(office)
    write(office, export)
    other = office.team.workspaces.create(office.owner, "Another").id
    browser = office.browser(Role.OWNER)
    for path in (
        f"/console/{other}/usage/exports/{export.id}/part-00001.csv",
        f"{page_of(office)}/{export.id}/part-00002.csv",
        f"{page_of(office)}/{export.id}/..%2Fsecret",
        f"{page_of(office)}/exp_none/part-00001.csv",
    ):
        assert browser.open(path).status == 404, path


def test_all_faults_of_a_request_are_said_at_once_and_what_was_typed_stays(office: Office) -> None:
    browser, action = office.browser(Role.OWNER), page_of(office)
    wrong = browser.submit(browser.open(action), action, **{"from": "soon", "to": "9999-12-31", "format": "xls"})
    assert wrong.status == 422
    assert len(re.findall('class="fault"', wrong.answer.text)) == 3
    assert (wrong.forms[action].fields["from"], wrong.forms[action].fields["to"]) == ("soon", "9999-12-31")
    assert exports_of(office) == []


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        (days_ago(2), days_ago(3), "not before the first day"),
        (days_ago(-3), days_ago(-2), "has begun in UTC"),
        (days_ago(500), days_ago(1), "at most 400 days"),
        (days_ago(-2), days_ago(3), "has begun in UTC"),
    ],
)
def test_a_range_that_cannot_be_exported_is_refused_at_its_field(
    office: Office, first: str, last: str, words: str
) -> None:
    browser, action = office.browser(Role.OWNER), page_of(office)
    wrong = browser.submit(browser.open(action), action, **{"from": first, "to": last})
    assert (wrong.status, words in wrong.text) == (422, True)
    assert exports_of(office) == []


def test_the_range_that_the_form_offers_is_accepted(office: Office) -> None:
    export = requested(office)
    assert export.until <= utc_now()
    assert export.since == utc_now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def test_a_form_that_is_sent_twice_makes_one_export(office: Office) -> None:
    browser, action = office.browser(Role.OWNER), page_of(office)
    page = browser.open(action)
    for _ in range(2):
        assert "Export requested" in browser.submit(page, action).text
    assert len(exports_of(office)) == 1


def test_a_workspace_with_too_many_running_exports_is_told_to_wait(office: Office) -> None:
    for _ in range(10):
        requested(office)
    browser, action = office.browser(Role.OWNER), page_of(office)
    refused = browser.submit(browser.open(action), action)
    assert (refused.status, "10 exports are still running" in refused.text) == (409, True)


def test_a_failed_export_says_what_to_do_and_fills_in_the_form_again(office: Office) -> None:
    day = days_ago(3)
    export = requested(office, Role.OWNER, **{"from": day, "to": day, "format": "parquet"})
    change(office, export, state=ExportState.FAILED)
    browser = office.browser(Role.OWNER)
    page = browser.open(page_of(office))
    assert "could not be written" in page.text
    assert export.id in page.text
    [again] = [each for each in page.links if "format=parquet" in each and "language=" not in each]
    fields = browser.open(again.partition("#")[0]).forms[page_of(office)].fields
    assert {name: fields[name] for name in ("from", "to", "format")} == {"from": day, "to": day, "format": "parquet"}


def test_files_that_retention_deleted_have_no_links(office: Office) -> None:
    export = requested(office)
    write(office, export)
    change(office, export, created_at=utc_now() - 31 * DAY)
    browser = office.browser(Role.OWNER)
    page = browser.open(page_of(office))
    assert "deleted after 30 days" in page.text
    assert not [each for each in page.links if "part-" in each]
    assert browser.open(f"{page_of(office)}/{export.id}/part-00001.csv").status == 404


def test_the_list_is_read_page_by_page_the_newest_first(office: Office) -> None:
    owner, now = office.acting(office.people[Role.OWNER]), utc_now()
    for _ in range(53):
        export = usage_of(office).exports.create(owner, office.workspace, now - DAY, now, UsageExportFormat.CSV)
        change(office, export, state=ExportState.FAILED)
    seen, browser, link = list[str](), office.browser(Role.OWNER), page_of(office)
    while link:
        page = browser.open(link)
        seen += re.findall(r'<li id="(exp_\w+)"', page.answer.text)
        link = next((each for each in page.links if "cursor=" in each and "language=" not in each), "")
    assert seen == [each.id for each in exports_of(office)]


def test_the_schedule_is_set_changed_and_stopped(office: Office) -> None:
    browser, action = office.browser(Role.ADMIN), f"{page_of(office)}/schedule"
    page = browser.open(page_of(office))
    assert "No exports are scheduled" in page.text
    shown = browser.submit(page, action, every="weekly", scheduled_format="parquet")
    assert "Schedule saved" in shown.text
    assert "An export as Parquet is made every week" in re.sub(" +", " ", shown.text)
    assert shown.forms[action].fields["every"] == "weekly"
    assert "made every day" in browser.submit(shown, action, every="daily").text
    stopped = browser.submit(browser.open(page_of(office)), action, every="off")
    assert "No exports are scheduled any more" in stopped.text
    assert (
        "No exports are scheduled any more" in browser.submit(browser.open(page_of(office)), action, every="off").text
    )


def test_all_faults_of_a_schedule_are_said_at_once(office: Office) -> None:
    browser, action = office.browser(Role.ADMIN), f"{page_of(office)}/schedule"
    wrong = browser.submit(browser.open(page_of(office)), action, every="hourly", scheduled_format="xls")
    assert wrong.status == 422
    assert len(re.findall('class="fault"', wrong.answer.text)) == 2


def test_a_size_is_in_words() -> None:
    assert [size(each) for each in (0, 999, 1000, 1_234_567, 2_000_000_000)] == [
        "0 bytes",
        "999 bytes",
        "1.0 kB",
        "1.2 MB",
        "2.0 GB",
    ]
