"""The pages of keys: with `key:manage` all keys of the workspace, else the actor's own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from aws_lambda_powertools.event_handler import Response

from opencode_cloud.budgets.models.documents import CreateBudget
from opencode_cloud.console import menu
from opencode_cloud.console.agents import setups
from opencode_cloud.console.app import ConsoleApp, PageRequest
from opencode_cloud.console.forms import InvalidForm, checked
from opencode_cloud.console.page import ConsolePage
from opencode_cloud.contracts.budgets import BudgetPeriod, BudgetScope, BudgetUnit
from opencode_cloud.contracts.ids import KeyId, ServiceAccountId
from opencode_cloud.contracts.permissions import KeyScope, Permission
from opencode_cloud.http.pages import see
from opencode_cloud.keys.requests import KeyChange, KeyRequest, Rotation
from opencode_cloud.keys.service import CreateKey, UpdateKey
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.errors import ServiceError
from opencode_cloud.kit.json_documents import DocumentFault
from opencode_cloud.kit.languages import gettext as _
from opencode_cloud.kit.marked_messages import gettext_noop
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, decode_id, page_of
from opencode_cloud.policies.models import Versioned
from opencode_cloud.workspaces.requests import NewServiceAccount

if TYPE_CHECKING:
    from opencode_cloud.budgets.service.budgets import BudgetService
    from opencode_cloud.keys.models import Key, NewKey
    from opencode_cloud.policies.service import Publisher
    from opencode_cloud.workspaces.services import WorkspaceServices

LIFETIMES = {
    "7": gettext_noop("7 days"),
    "30": gettext_noop("30 days"),
    "90": gettext_noop("90 days"),
    "365": gettext_noop("1 year"),
    "": gettext_noop("never"),
}
"""Lifetimes of a new key that the form offers, in days."""
OVERLAPS = {
    "0": gettext_noop("at once"),
    "3600": gettext_noop("in an hour"),
    "86400": gettext_noop("in a day"),
    "604800": gettext_noop("in a week"),
}
"""Times after which the old key of a rotation ends, in seconds."""
ONLY_NARROWER = gettext_noop("The limits of a key can only be narrowed. For wider limits, create another key.")
SHOWN_MACHINES = 200
LONGEST_SEARCH = 100
MODEL = "MODEL"
"""The name in setups of agents where the policy has no default model."""
SCOPES = {
    KeyScope.INFERENCE: gettext_noop("call models"),
    KeyScope.USAGE: gettext_noop("read usage and members"),
    KeyScope.ADMIN: gettext_noop("manage the workspace through the API, within the holder's role"),
}


class KeyPages:
    """Pages of keys."""

    PAGE: ClassVar[ConsolePage] = menu.KEYS

    def __init__(self, app: ConsoleApp, team: WorkspaceServices, budgets: BudgetService, publisher: Publisher) -> None:
        self._app = app
        self._keys = team.keys
        self._machines = team.service_accounts
        self._budgets = budgets
        self._publisher = publisher

    def mount(self) -> None:
        """Add every page."""
        routes, own, one = self._app.add(self.PAGE, self.show), Permission.KEY_OWN, "/keys/<key_id>"
        get, post = routes.get, routes.post
        post("/keys", self.create, own, self.show)
        get(one, self.one, own)
        post(one, self.change, own, self.one)
        get(f"{one}/rotate", self.ask_rotate, own)
        post(f"{one}/rotate", self.rotate, own, self.ask_rotate)
        get(f"{one}/revoke", self.ask_revoke, own)
        post(f"{one}/revoke", self.revoke, own, self.show)
        manage, machine = Permission.SERVICE_ACCOUNT_MANAGE, "/service-accounts/<machine>"
        post("/service-accounts", self.create_machine, manage, self.show)
        post(f"{machine}/disable", self.disable, manage, self.show)
        post(f"{machine}/enable", self.enable, manage, self.show)

    def show(self, request: PageRequest, **_ids: str) -> Response[str]:
        """``GET .../keys?search=...&own=1&holder=...&ended=1``: keys, newest first, and a form for a new key."""
        after = decode_id(request.query("cursor"))
        own, ended = request.query("own") == "1", request.query("ended") == "1"
        holder, search = (
            ServiceAccountId(request.query("holder")[:30]) or None,
            request.query("search")[:LONGEST_SEARCH],
        )
        rows = self._keys.of_workspace(
            request.actor,
            request.workspace.id,
            own=own,
            service_account_id=holder,
            search=search,
            ended=ended,
            after=after,
            limit=DEFAULT_LIMIT + 1,
        )
        readable = request.may(Permission.SERVICE_ACCOUNT_READ)
        machines = list(self._machines.of_workspace(request.workspace.id, limit=SHOWN_MACHINES)) if readable else []
        return self._app.page(
            request,
            keys=page_of(rows, DEFAULT_LIMIT, lambda row: (row.id,), lambda row: row),
            own=own,
            ended=ended,
            holder=holder,
            search=search,
            now=utc_now(),
            machines=machines,
            scopes=SCOPES,
            lifetimes=LIFETIMES,
        )

    def create(self, request: PageRequest) -> Response[str]:
        """``POST .../keys``: create a key, and its budget. The secret is shown on the answer's page only."""
        form = request.form
        days, faults, body = form.one("days"), list[DocumentFault](), None
        if days not in LIFETIMES:
            faults.append(DocumentFault(path="/days", message=gettext_noop("Choose one of the offered lifetimes")))
        try:
            limit = form.dollars("budget") if form.one("budget") else None
        except InvalidForm as error:
            limit, faults = None, [*faults, *error.faults]
        values: Mapping[str, Any] = {
            "name": form.one("name"),
            "scopes": form.many("scopes"),
            "service_account_id": form.one("holder") or None,
            "models": form.lines("models") or None,
            "networks": form.lines("networks") or None,
            "expires_at": utc_now() + timedelta(days=int(days)) if days in LIFETIMES and days else None,
        }
        try:
            body = checked(KeyRequest, values)
        except InvalidForm as error:
            faults += error.faults
        if faults or body is None:
            raise InvalidForm(faults)
        new_key = CreateKey(
            name=body.name,
            scopes=body.scopes,
            service_account_id=body.service_account_id,
            models=body.models,
            networks=body.networks,
            expires_at=body.expires_at,
        )
        key = self._keys.create(request.actor, request.workspace.id, new_key)
        return self._new_key(request, key, self._limited(request, key, limit))

    def one(self, request: PageRequest, key_id: KeyId) -> Response[str]:
        """``GET .../keys/{key_id}``: a key, and the form that renames or narrows it."""
        key = self._keys.get(request.actor, request.workspace.id, key_id)
        changes = key.revoked_at is None and (key.member_id in {None, request.actor.id})
        return self._app.page(request, "key.html", key=key, scopes=SCOPES, changes=changes)

    def change(self, request: PageRequest, key_id: KeyId) -> Response[str]:
        """``POST .../keys/{key_id}``: rename a key, or set narrower limits."""
        form, key = request.form, self._keys.get(request.actor, request.workspace.id, key_id)
        values = {
            "name": form.one("name"),
            "scopes": form.many("scopes"),
            "models": form.lines("models") or None,
            "networks": form.lines("networks") or None,
        }
        # The API takes null for "no change", but an empty field of the form asks for a key without the limit.
        faults = [
            DocumentFault(path=f"/{name}", message=ONLY_NARROWER)
            for name in ("models", "networks")
            if getattr(key, name) and not values[name]
        ]
        try:
            body = checked(KeyChange, values)
        except InvalidForm as error:
            raise InvalidForm([*faults, *error.faults]) from error
        if faults:
            raise InvalidForm(faults)
        update = UpdateKey(name=body.name, scopes=body.scopes, models=body.models, networks=body.networks)
        self._keys.narrow(request.actor, request.workspace.id, key_id, update)
        return see(f"{request.base}/keys?done=narrowed")

    def ask_rotate(self, request: PageRequest, key_id: KeyId) -> Response[str]:
        """``GET .../keys/{key_id}/rotate``: say what a rotation does, and ask when the old key ends."""
        key = self._keys.get(request.actor, request.workspace.id, key_id)
        return self._app.page(request, "rotate_key.html", key=key, overlaps=OVERLAPS)

    def rotate(self, request: PageRequest, key_id: KeyId) -> Response[str]:
        """``POST .../keys/{key_id}/rotate``: create a key with the same limits. Its secret is shown once."""
        body = checked(Rotation, {"overlap_seconds": request.form.one("overlap")})
        overlap = timedelta(seconds=body.overlap_seconds)
        return self._new_key(request, self._keys.rotate(request.actor, request.workspace.id, key_id, overlap), "")

    def ask_revoke(self, request: PageRequest, key_id: KeyId) -> Response[str]:
        """``GET .../keys/{key_id}/revoke``: explain the effect of revoking and ask for confirmation."""
        key = self._keys.get(request.actor, request.workspace.id, key_id)
        return self._app.page(request, "revoke_key.html", key=key)

    def revoke(self, request: PageRequest, key_id: KeyId) -> Response[str]:
        """``POST .../keys/{key_id}/revoke``."""
        self._keys.revoke(request.actor, request.workspace.id, key_id)
        return see(f"{request.base}/keys?done=revoked")

    def create_machine(self, request: PageRequest) -> Response[str]:
        """``POST .../service-accounts``."""
        # The page has the field `name` of another form too, so the fault has the id of this one.
        try:
            name = checked(NewServiceAccount, {"name": request.form.one("name")}).name
        except InvalidForm as error:
            raise InvalidForm(
                [DocumentFault(path="/machine", message=each.message) for each in error.faults]
            ) from error
        self._machines.create(request.actor, request.workspace.id, name)
        return see(f"{request.base}/keys?done=machine")

    def disable(self, request: PageRequest, machine: str) -> Response[str]:
        """``POST .../service-accounts/{machine}/disable``."""
        self._machines.change(request.actor, request.workspace.id, ServiceAccountId(machine), disabled=True)
        return see(f"{request.base}/keys?done=disabled")

    def enable(self, request: PageRequest, machine: str) -> Response[str]:
        """``POST .../service-accounts/{machine}/enable``."""
        self._machines.change(request.actor, request.workspace.id, ServiceAccountId(machine), disabled=False)
        return see(f"{request.base}/keys?done=enabled")

    def _new_key(self, request: PageRequest, key: NewKey, warning: str) -> Response[str]:
        return self._app.page(
            request,
            "new_key.html",
            key=key,
            warning=warning,
            agents=setups(self._app.base_url(), key.secret, self._model(request, key))
            if KeyScope.INFERENCE in key.scopes
            else (),
            placeholder=MODEL,
        )

    def _model(self, request: PageRequest, key: Key) -> str:
        """Return the name of a model for setups: the only one of the key, or the default of the policy."""
        named = key.models[0] if key.models and "*" not in key.models[0] else ""
        policy = self._publisher.current(Versioned.POLICY, request.workspace.id).document
        return (named or str(policy.get("default_model") or "")).partition("/")[2] or MODEL

    def _limited(self, request: PageRequest, key: NewKey, limit: int | None) -> str:
        """Create the budget of a new key; return why there is none, if it was wanted.

        The key exists by then, and only this answer shows its secret. So a failure is no error of the form.
        """
        if limit is None:
            return ""
        if not request.may(Permission.BUDGET_MANAGE):
            return _("Its budget was not created: your role does not include budgets. Ask an admin for one.")
        wanted = CreateBudget(
            scope=BudgetScope.KEY, unit=BudgetUnit.COST, period=BudgetPeriod.MONTH, limit=limit, subject=key.id
        )
        try:
            self._budgets.create(request.actor, request.workspace.id, wanted)
        except ServiceError as error:
            return _("Its budget was not created: %(reason)s", reason=_(error.message))
        return ""
