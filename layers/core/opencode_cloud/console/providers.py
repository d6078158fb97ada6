"""The page of the workspace's own keys of model providers: add, test, replace and remove them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from aws_lambda_powertools.event_handler import Response

from opencode_cloud.console import menu
from opencode_cloud.console.app import ConsoleApp, PageRequest
from opencode_cloud.console.forms import checked
from opencode_cloud.console.page import ConsolePage
from opencode_cloud.contracts.ids import CredentialId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.pages import see
from opencode_cloud.keys.models import CheckResult, Provider
from opencode_cloud.keys.requests import CredentialReplacement, NewCredential
from opencode_cloud.kit.marked_messages import gettext_noop
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, decode_id, page_of

if TYPE_CHECKING:
    from opencode_cloud.keys.service import Credentials

LONGEST_SEARCH = 100
NAMES = {
    Provider.ANTHROPIC: "Anthropic",
    Provider.OPENAI: "OpenAI",
    Provider.GOOGLE: "Google",
    Provider.OPENAI_COMPATIBLE: gettext_noop("OpenAI-compatible server"),
}
RESULTS = {
    CheckResult.WORKS: ("good", gettext_noop("works")),
    CheckResult.REFUSED: ("bad", gettext_noop("refused by the provider")),
    CheckResult.LIMITED: ("wait", gettext_noop("known, but limited for now")),
    CheckResult.UNREACHABLE: ("bad", gettext_noop("provider not reached")),
    CheckResult.UNEXPECTED: ("bad", gettext_noop("unexpected answer")),
}
"""The class and the words of each result of a test."""


class ProviderPages:
    """Pages of provider credentials."""

    PAGE: ClassVar[ConsolePage] = menu.PROVIDERS

    def __init__(self, app: ConsoleApp, credentials: Credentials) -> None:
        self._app = app
        self._credentials = credentials

    def mount(self) -> None:
        """Add every page."""
        routes, manage, one = (
            self._app.add(self.PAGE, self.show),
            Permission.PROVIDER_MANAGE,
            "/providers/<credential_id>",
        )
        routes.post("/providers", self.create, manage, self.show)
        routes.get(one, self.one, manage)
        routes.post(one, self.replace, manage, self.one)
        routes.post(f"{one}/test", self.test, manage, self.show)
        routes.get(f"{one}/remove", self.ask_remove, manage)
        routes.post(f"{one}/remove", self.remove, manage, self.show)

    def show(self, request: PageRequest, **_ids: str) -> Response[str]:
        """``GET .../providers?search=...``: the credentials, and a form for a new one."""
        after, search = decode_id(request.query("cursor")), request.query("search")[:LONGEST_SEARCH]
        rows = self._credentials.of_workspace(request.workspace.id, after, DEFAULT_LIMIT + 1, search=search)
        return self._app.page(
            request,
            credentials=page_of(rows, DEFAULT_LIMIT, lambda row: (row.id,), lambda row: row),
            search=search,
            names=NAMES,
            results=RESULTS,
        )

    def create(self, request: PageRequest) -> Response[str]:
        """``POST .../providers``: store a key, and test it."""
        form = request.form
        body = checked(
            NewCredential,
            {
                "provider": form.one("provider"),
                "name": form.one("name") or "default",
                "secret": form.one("secret"),
                "base_url": form.one("base_url") or None,
            },
        )
        made = self._credentials.create(
            request.actor, request.workspace.id, body.provider, body.name, body.secret, body.base_url
        )
        self._credentials.check(request.actor, request.workspace.id, made.id)
        return see(f"{request.base}/providers?done=provider")

    def one(self, request: PageRequest, credential_id: CredentialId) -> Response[str]:
        """``GET .../providers/{credential_id}``: the form that replaces a key."""
        credential = self._credentials.get(request.workspace.id, credential_id)
        return self._app.page(request, "replace_provider.html", credential=credential, names=NAMES)

    def replace(self, request: PageRequest, credential_id: CredentialId) -> Response[str]:
        """``POST .../providers/{credential_id}``: replace the key, and test it."""
        form = request.form
        values = {"secret": form.one("secret"), "base_url": form.one("base_url") or None}
        body, workspace_id = checked(CredentialReplacement, values), request.workspace.id
        self._credentials.replace(request.actor, workspace_id, credential_id, body.secret, body.base_url)
        self._credentials.check(request.actor, workspace_id, credential_id)
        return see(f"{request.base}/providers?done=provider")

    def test(self, request: PageRequest, credential_id: CredentialId) -> Response[str]:
        """``POST .../providers/{credential_id}/test``: ask the provider whether the key works."""
        self._credentials.check(request.actor, request.workspace.id, credential_id)
        return see(f"{request.base}/providers?done=tested")

    def ask_remove(self, request: PageRequest, credential_id: CredentialId) -> Response[str]:
        """``GET .../providers/{credential_id}/remove``: say what the removal does, and ask."""
        credential = self._credentials.get(request.workspace.id, credential_id)
        return self._app.page(request, "remove_provider.html", credential=credential, names=NAMES)

    def remove(self, request: PageRequest, credential_id: CredentialId) -> Response[str]:
        """``POST .../providers/{credential_id}/remove``."""
        self._credentials.delete(request.actor, request.workspace.id, credential_id)
        return see(f"{request.base}/providers?done=providergone")
