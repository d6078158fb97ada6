"""Operators' commands over the real database: the first owner of a fresh deployment."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from opencode_cloud.audit.service import AuditTrail
from opencode_cloud.audit.store import AuditStore
from opencode_cloud.budgets.service.balance import Balance
from opencode_cloud.budgets.store.budgets import BudgetStore
from opencode_cloud.catalogue.service.publishing import CataloguePublisher
from opencode_cloud.catalogue.store.versions import VersionStore
from opencode_cloud.contracts.mail import Template
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.identity.store.accounts import AccountsStore
from opencode_cloud.kit.sql import Database
from opencode_cloud.mail.rendering import Renderer
from opencode_cloud.mail.service import Mailer
from opencode_cloud.mail.store import MailStore
from opencode_cloud.operators.service import Operations
from opencode_cloud.policies.service import WellKnown
from opencode_cloud.policies.validation import form_faults
from opencode_cloud.schema.mail import mails
from tests.unit.catalogue.documents import document, text
from tests.unit.policies.test_well_known import Shelf
from tests.unit.workspaces.team import Place

OPERATOR = "arn:aws:sts::000000000000:assumed-role/Admin/ada"


@pytest.fixture
def place(database: Database) -> Place:
    return Place(database)


@pytest.fixture
def operations(place: Place) -> Operations:
    nothing: Any = None
    audit, mailer = AuditTrail(AuditStore()), Mailer(MailStore(place.database))
    shelf: Any = Shelf()
    site = WellKnown(shelf, "https://cloud.example.com")
    catalogue = CataloguePublisher(VersionStore(place.database), place.outbox, audit, form_faults)
    return Operations(
        place.outbox,
        AccountsStore(),
        place.team,
        audit,
        mailer,
        nothing,
        nothing,
        site,
        catalogue,
        nothing,
        Balance(place.database, place.outbox, audit, BudgetStore()),
        nothing,
    )


def run(operations: Operations, kind: str, **command: Any) -> dict[str, Any]:
    return operations.handle({"operator": OPERATOR, "command": {"type": kind, **command}}, "request-1")


def first(operations: Operations, email: str = "ada@example.com") -> dict[str, Any]:
    return run(operations, "first-owner", email=email, workspace="Acme", base="https://cloud.example.com")


def test_the_first_owner_gets_account_workspace_and_mail(place: Place, operations: Operations) -> None:
    made = first(operations)["result"]
    [mine] = place.team.workspaces.memberships(made["account"])
    assert (mine.id, mine.name, mine.role) == (made["workspace"], "Acme", "owner")
    assert place.told(Topic.ACCOUNT) == [made["account"]]
    assert place.told(Topic.WORKSPACE) == [made["workspace"]]
    with place.database.transaction() as connection:
        mail = connection.execute(select(mails)).mappings().one()
    assert (mail["recipient"], mail["template"]) == ("ada@example.com", Template.WELCOME_OWNER)
    sent = Renderer(lambda: "key", "").render(Template(mail["template"]), mail["variables"])
    assert "https://cloud.example.com/login" in sent.text
    assert {"account.created", "workspace.created"} <= set(place.actions())


def test_what_clients_begin_with_is_published_shown_and_taken_back(place: Place, operations: Operations) -> None:
    assert run(operations, "well-known")["result"] is None
    made = run(operations, "well-known", config={"share": "manual"})["result"]
    assert made["config"] == {"share": "manual"}
    assert run(operations, "well-known")["result"] == made
    refused = run(operations, "well-known", config={"share": "sometimes"})
    assert (refused["error"], "/share" in refused["message"]) == ("invalid_document", True)
    back = run(operations, "well-known", default=True)["result"]
    assert back["config"] == {"enterprise": {"url": "https://cloud.example.com"}}
    assert place.actions() == ["well_known.published"] * 2


def test_the_catalogue_is_checked_compared_published_and_exported(place: Place, operations: Operations) -> None:
    def catalogue(action: str, **more: Any) -> dict[str, Any]:
        return run(operations, "catalogue", action=action, **more)

    assert catalogue("show")["result"]["version"] == 0
    starting = catalogue("export")["result"]
    written = text(document())
    assert catalogue("check", document=written)["result"] == {"valid": True}
    assert catalogue("diff", document=written)["result"]["version"] == 0
    assert catalogue("publish", document=written, comment="first")["result"]["version"] == 1
    assert catalogue("publish", document=written, version=0)["error"] == "stale_version"
    assert catalogue("show")["result"]["models"]["tiny"] == ["openai:gpt-tiny"]
    assert catalogue("export")["result"] == document()
    assert catalogue("export", version=0)["result"] == starting
    assert [each["comment"] for each in catalogue("versions")["result"]] == ["first"]
    assert catalogue("restore", version=7)["error"] == "catalogue_version_not_found"
    assert catalogue("restore")["error"] == "invalid_command"
    assert catalogue("publish", document=written, comment="x" * 256)["error"] == "invalid_command"
    wrong = catalogue("check", document=text(document(small_model="none", other=1)))
    assert (wrong["error"], "/other: there is no such member" in wrong["message"]) == ("invalid_catalogue", True)
    assert place.actions() == ["catalogue.published"]
    assert place.told(Topic.CATALOGUE) == ["catalogue"]


def test_there_is_one_first_owner(place: Place, operations: Operations) -> None:
    first(operations)
    refused = first(operations, "eve@example.com")
    assert refused["error"] == "not_fresh"
    assert place.actions().count("account.created") == 1


def test_a_refused_command_leaves_nothing_behind(place: Place, operations: Operations) -> None:
    assert run(operations, "create-workspace", name=" ", owner="ada@example.com")["error"] == "name_required"
    with place.database.transaction() as connection:
        assert AccountsStore().count(connection) == 0
    assert place.actions() == []


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"operator": OPERATOR},
        {"operator": OPERATOR, "command": {"type": "destroy"}},
        {"operator": OPERATOR, "command": {"type": "block", "subject": 1, "blocked": "yes"}},
    ],
)
def test_what_is_no_command_is_refused(operations: Operations, event: dict[str, Any]) -> None:
    assert operations.handle(event, "r")["error"] == "invalid_command"


def test_a_grant_is_made_once_for_its_key_and_is_on_record(place: Place, operations: Operations) -> None:
    workspace = first(operations)["result"]["workspace"]
    command = {"workspace": workspace, "micro_cents": 25 * 100_000_000, "reason": "pilot", "key": "order-1"}

    made = [run(operations, "grant", **command)["result"] for _ in range(2)]

    assert made[0] == made[1]
    assert (made[0]["amount"], made[0]["reason"], made[0]["granted_by"]) == (2_500_000_000, "pilot", OPERATOR)
    assert place.actions().count("balance.granted") == 1
    assert place.told(Topic.BUDGETS) == [workspace]
    assert run(operations, "grant", **{**command, "micro_cents": 1})["error"] == "grant_differs"
