"""The operators' pages. They translate: the rules are those of the command line."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from opencode_cloud.billing.service.checking import DAYS
from opencode_cloud.contracts.audit import Target
from opencode_cloud.http.pages import see
from opencode_cloud.kit.errors import ServiceError, Unprocessable
from opencode_cloud.kit.marked_messages import gettext_noop
from opencode_cloud.kit.newer_release import is_newer
from opencode_cloud.operators.browser import ROOT
from opencode_cloud.operators.store.directory import PAGE_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.billing.services import BillingServices
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.kit.dead_letters import DeadLetters
    from opencode_cloud.operators.browser import OperatorApp, OperatorRequest
    from opencode_cloud.operators.directory import Directory
    from opencode_cloud.operators.ports import DirectorySearch
    from opencode_cloud.outbox.service import Outbox

DONE = {
    "blocked": gettext_noop("Blocked. It takes effect within seconds."),
    "unblocked": gettext_noop("Unblocked. It takes effect within seconds."),
}
"""Messages after a form, by the value of the query ``done``."""


class OperatorPages:
    """Workspaces, people, queues, books, and the release."""

    def __init__(
        self,
        app: OperatorApp,
        directory: Directory,
        search: DirectorySearch,
        dead_letters: DeadLetters,
        outbox: Outbox,
        audit: AuditTrail,
        latest_release: Callable[[], str],
        billing: BillingServices | None = None,
    ) -> None:
        """``latest_release`` returns a tag, or an empty text. Without ``billing``, the deployment keeps no ledger."""
        self._app = app
        self._directory = directory
        self._search = search
        self._dead_letters = dead_letters
        self._outbox = outbox
        self._audit = audit
        self._latest_release = latest_release
        self._billing = billing

    def admits(self, person: Actor) -> bool:
        """Tell whether a signed-in person may open the pages."""
        return self._app.lists(person)

    def mount(self, resolver: APIGatewayHttpResolver) -> None:
        """Add every page."""
        app = self._app
        app.mount(resolver)
        app.get("", self.start)
        app.post("/release", self.check_release)
        app.get("/workspaces", self.workspaces)
        app.get("/workspaces/<workspace_id>", self.workspace)
        app.post("/workspaces/<workspace_id>/block", self.block_workspace)
        app.get("/people", self.people)
        app.get("/people/<account_id>", self.person)
        app.post("/people/<account_id>/block", self.block_person)
        app.get("/queues", self.queues)
        app.post("/queues/<name>/replay", self.replay)
        if self._billing is not None:
            app.get("/books", self.books)
            app.post("/books/check", self.check_books)

    def start(self, request: OperatorRequest) -> Response[str]:
        """``GET /operator``: the release that runs, and the way to everything else."""
        return self._app.page("start.html", request.actor, latest=None, newer=False)

    def check_release(self, request: OperatorRequest) -> Response[str]:
        """``POST /operator/release``: ask for the latest release."""
        latest = self._latest_release()
        return self._app.page("start.html", request.actor, latest=latest, newer=bool(latest) and is_newer(latest))

    # ------------------------------------------------------------------------- workspaces and people

    def workspaces(self, request: OperatorRequest) -> Response[str]:
        """``GET /operator/workspaces?q=&after=``: search workspaces."""
        found = self._search.workspaces(self._app.query("q"), self._app.query("after"))
        return self._list(request, "workspaces.html", found)

    def people(self, request: OperatorRequest) -> Response[str]:
        """``GET /operator/people?q=&after=``: search people."""
        return self._list(request, "people.html", self._search.people(self._app.query("q"), self._app.query("after")))

    def workspace(self, request: OperatorRequest, workspace_id: str) -> Response[str]:
        """``GET /operator/workspaces/{id}``: a workspace with its members."""
        return self._subject(request, "workspace.html", workspace_id, "wrk_")

    def person(self, request: OperatorRequest, account_id: str) -> Response[str]:
        """``GET /operator/people/{id}``: a person with their workspaces."""
        return self._subject(request, "person.html", account_id, "acc_")

    def block_workspace(self, request: OperatorRequest, workspace_id: str) -> Response[str]:
        """``POST /operator/workspaces/{id}/block``: block it or unblock it."""
        return self._block(request, "workspace.html", workspace_id, "wrk_", "name")

    def block_person(self, request: OperatorRequest, account_id: str) -> Response[str]:
        """``POST /operator/people/{id}/block``: block them or unblock them."""
        return self._block(request, "person.html", account_id, "acc_", "email")

    def _list(self, request: OperatorRequest, template: str, found: Sequence[Any]) -> Response[str]:
        shown = found[:PAGE_SIZE]
        following = shown[-1].id if len(found) > PAGE_SIZE else ""
        return self._app.page(template, request.actor, found=shown, query=self._app.query("q"), following=following)

    def _subject(
        self, request: OperatorRequest, template: str, subject_id: str, prefix: str, error: ServiceError | None = None
    ) -> Response[str]:
        # An id of another kind would look up something else.
        subject = self._directory.look_up(prefix + subject_id.removeprefix(prefix))
        done = "" if error else DONE.get(self._app.query("done"), "")
        status, words = (error.status, error.message) if error else (HTTPStatus.OK, "")
        return self._app.page(template, request.actor, status, subject=subject, done=done, words=words)

    def _block(self, request: OperatorRequest, template: str, subject_id: str, prefix: str, name: str) -> Response[str]:
        """Block a subject after its name was typed, or unblock it."""
        subject = self._directory.look_up(prefix + subject_id.removeprefix(prefix))
        blocked = request.form.get("blocked") == "1"
        if blocked and request.form.get("confirm", "").strip() != subject[name]:
            error = Unprocessable("wrong_name", f"Type this exactly: {subject[name]}")
            return self._subject(request, template, subject_id, prefix, error)
        self._directory.block(request.actor, subject["id"], blocked=blocked)
        folder = "workspaces" if prefix == "wrk_" else "people"
        return see(f"{ROOT}/{folder}/{subject['id']}?done={'blocked' if blocked else 'unblocked'}")

    # -------------------------------------------------------------------------------------- the queues

    def queues(self, request: OperatorRequest) -> Response[str]:
        """``GET /operator/queues``: what waits, and what failed."""
        return self._queues(request, None, 0)

    def replay(self, request: OperatorRequest, name: str) -> Response[str]:
        """``POST /operator/queues/{name}/replay``: send failed messages to their queue again."""
        self._dead_letters.check(name)
        # Recorded first: a replay that fails half way has sent messages too.
        self._record(request, "queue.replayed", Target("queue", name))
        sent = self._dead_letters.replay(name)
        return self._queues(request, name, sent)

    def _queues(self, request: OperatorRequest, replayed: str | None, sent: int) -> Response[str]:
        states = self._dead_letters.states()
        return self._app.page("queues.html", request.actor, queues=states, replayed=replayed, sent=sent)

    # --------------------------------------------------------------------------------------- the books

    def books(self, request: OperatorRequest) -> Response[str]:
        """``GET /operator/books``: the trial balance."""
        return self._books(request, None)

    def check_books(self, request: OperatorRequest) -> Response[str]:
        """``POST /operator/books/check``: compare the books with themselves, with usage and with the limits."""
        findings = [msgspec.to_builtins(each) for each in self._ledger().reconciliation.findings(DAYS)]
        self._record(request, "books.checked", Target("ledger", "books"), {"findings": len(findings)})
        return self._books(request, findings)

    def _books(self, request: OperatorRequest, findings: list[Any] | None) -> Response[str]:
        lines = self._ledger().ledger.trial_balance()
        return self._app.page("books.html", request.actor, lines=lines, findings=findings, days=DAYS)

    def _ledger(self) -> BillingServices:
        if self._billing is None:
            raise LookupError("the deployment keeps no ledger")
        return self._billing

    def _record(
        self, request: OperatorRequest, action: str, target: Target, after: dict[str, Any] | None = None
    ) -> None:
        with self._outbox.unit() as unit:
            self._audit.record(unit.connection, request.actor, action, target, after=after)
