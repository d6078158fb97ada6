"""The playground: one prompt to one or two models side by side, with what it may cost before and what it cost after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol

import msgspec
from aws_lambda_powertools.event_handler import Response

from opencode_cloud.catalogue import listing, pricing
from opencode_cloud.console import menu
from opencode_cloud.console.app import ConsoleApp, PageRequest
from opencode_cloud.console.forms import InvalidForm
from opencode_cloud.console.gateway_client import AGENT, SLOW_CODE, ActingCaller, GatewayClient, ModelAnswer
from opencode_cloud.console.page import ConsolePage
from opencode_cloud.contracts.usage import Tokens
from opencode_cloud.kit import money
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.json_documents import DocumentFault
from opencode_cloud.kit.languages import gettext as _
from opencode_cloud.kit.marked_messages import gettext_noop
from opencode_cloud.kit.parallel import parallel_map

if TYPE_CHECKING:
    from opencode_cloud.catalogue.models import Model
    from opencode_cloud.catalogue.service.caching import CatalogueCache
    from opencode_cloud.contracts.ids import AccountId, SessionId, WorkspaceId
    from opencode_cloud.contracts.usage import UsageEvent

LONGEST_PROMPT = 20_000
"""Characters."""
MOST_TOKENS, PRESET_TOKENS = 2_000, 500
"""The longest answer, and the one that the form begins with."""
TOKEN_SECONDS = 60
"""The lifetime of the token with which the gateway is called."""
ESTIMATE = "estimate"
"""The value of the button that calls no model."""

IssueToken = Callable[[str, "AccountId", "SessionId", str, int], str]
"""Returns an access token: issuer, account, session, client, seconds."""


class FindCall(Protocol):
    """Finds settled calls."""

    def find(self, workspace_id: WorkspaceId, correlation_id: str, since: int) -> UsageEvent | None:
        """Return the event of the call with a correlation id; ``since`` is in seconds since the epoch."""
        ...


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """One model, and its answer if it was asked."""

    model: Model
    prompt_tokens: int | None
    """None: the gateway did not count them."""
    least: str = ""
    """The cost of the prompt alone."""
    most: str = ""
    """The cost with an answer of the longest permitted length."""
    answer: ModelAnswer | None = None
    event: UsageEvent | None = None
    """The call as it was settled."""

    @property
    def unsettled(self) -> bool:
        """Tell whether the call goes on to be settled after this page."""
        return self.answer is not None and self.event is None and self.answer.code in {"", SLOW_CODE}

    @property
    def cost(self) -> str:
        """Return what the call has cost, exactly."""
        return f"${money.exact(self.event.cost)}" if self.event else ""

    @property
    def reserved(self) -> str:
        """Return what was held on the budgets during the call."""
        return money.shown(self.event.reserved) if self.event else ""


class PlaygroundPages:
    """The playground of a workspace. Each answer is a call of the person, through the gateway."""

    PAGE: ClassVar[ConsolePage] = menu.PLAYGROUND

    def __init__(
        self, app: ConsoleApp, catalogue: CatalogueCache, gateway: GatewayClient, issue: IssueToken, calls: FindCall
    ) -> None:
        self._app = app
        self._catalogue = catalogue
        self._gateway = gateway
        self._issue = issue
        self._calls = calls

    def mount(self) -> None:
        """Add every page."""
        routes = self._app.add(self.PAGE, self.show)
        routes.post(self.PAGE.path, self.submit, self.PAGE.permission, self.show)

    def show(self, request: PageRequest) -> Response[str]:
        """``GET .../playground``: the form."""
        return self._page(request, ())

    def submit(self, request: PageRequest) -> Response[str]:
        """``POST .../playground``: estimate the cost, or ask the models."""
        models, prompt, limit = self._wanted(request)
        caller = self._caller(request)
        asks = request.form.one("do") != ESTIMATE
        tried = parallel_map(lambda model: self._try(caller, model, prompt, limit, asks=asks), models)
        return self._page(request, tried)

    def _page(self, request: PageRequest, tried: Sequence[Tried]) -> Response[str]:
        form, models = request.form, self._models(request)
        return self._app.page(
            request,
            models=models,
            first=form.one("model") or request.query("model") or self._catalogue.current().small_model,
            second=form.one("other"),
            prompt=form.one("prompt"),
            limit=form.one("limit") or PRESET_TOKENS,
            most_tokens=MOST_TOKENS,
            longest=LONGEST_PROMPT,
            tried=tried,
        )

    def _models(self, request: PageRequest) -> Sequence[Model]:
        """Return the models that the workspace's policy and the person's groups permit."""
        return listing.generating(self._catalogue.current(), listing.bounded(request.workspace, request.actor))

    def _wanted(self, request: PageRequest) -> tuple[Sequence[Model], str, int]:
        """Return the chosen models, the prompt and the limit of each answer; raises :class:`InvalidForm`."""
        form, known = request.form, {model.id: model for model in self._models(request)}
        faults: list[DocumentFault] = []
        prompt, limit = form.one("prompt"), form.one("limit")
        if not prompt:
            faults.append(DocumentFault(path="/prompt", message=gettext_noop("Fill in this field")))
        if len(prompt) > LONGEST_PROMPT:
            faults.append(
                DocumentFault(
                    path="/prompt",
                    message=_("Write at most {max_length} characters").format(max_length=f"{LONGEST_PROMPT:,}"),
                )
            )
        if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= MOST_TOKENS):
            faults.append(
                DocumentFault(
                    path="/limit", message=_("Write a whole number from 1 to {most}").format(most=f"{MOST_TOKENS:,}")
                )
            )
        chosen = {"model": form.one("model"), "other": form.one("other")}
        faults += [
            DocumentFault(path=f"/{name}", message=gettext_noop("Choose one of the offered values"))
            for name, model in chosen.items()
            if model not in known and (model or name == "model")
        ]
        if faults:
            raise InvalidForm(faults)
        # The same model twice is one call for each, to compare two of its answers.
        return [known[model] for model in chosen.values() if model], prompt, int(limit)

    def _caller(self, request: PageRequest) -> ActingCaller:
        """Return the person as the gateway knows clients: by a token of the browser's session, which lasts a minute."""
        url, actor = self._app.base_url(), request.actor
        token = self._issue(url, actor.account_id, actor.session_id, AGENT, TOKEN_SECONDS)
        return ActingCaller(url, token, request.workspace.id)

    def _try(self, caller: ActingCaller, model: Model, prompt: str, limit: int, *, asks: bool) -> Tried:
        began = now_seconds()
        tokens = self._gateway.count(caller, model.id, prompt)
        answer = self._gateway.ask(caller, model.id, prompt, limit) if asks else None
        found = answer.correlation_id if answer else ""
        event = self._calls.find(caller.workspace_id, found, began) if found else None
        if tokens is None:
            return Tried(model=model, prompt_tokens=None, answer=answer, event=event)
        price = model.price(began)
        return Tried(
            model=model,
            prompt_tokens=tokens,
            least=money.shown(pricing.cost(price, Tokens(input=tokens))),
            most=money.shown(pricing.cost(price, Tokens(input=tokens, output=min(limit, model.limits.output)))),
            answer=answer,
            event=event,
        )
