"""The pages of the policy and of the configuration document: current version, form, and older versions."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from aws_lambda_powertools.event_handler import Response

from opencode_cloud.console import menu
from opencode_cloud.console.app import ConsoleApp, PageRequest
from opencode_cloud.console.fallback_rows import EMPTY_ROWS, REASONS, FallbackRow, rows_of, typed_rows
from opencode_cloud.console.forms import LARGEST_VERSION, Form, InvalidForm, checked
from opencode_cloud.console.page import ConsolePage
from opencode_cloud.console.places import ExcerptLine, excerpt, parse
from opencode_cloud.contracts.budgets import LARGEST_LIMIT
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.pages import see
from opencode_cloud.kit import money
from opencode_cloud.kit.errors import Unprocessable
from opencode_cloud.kit.json_documents import DocumentFault
from opencode_cloud.kit.languages import gettext as _
from opencode_cloud.kit.marked_messages import gettext_noop
from opencode_cloud.kit.pagination import DEFAULT_LIMIT
from opencode_cloud.policies.compilation import enforced
from opencode_cloud.policies.models import (
    Policy,
    PolicyRules,
    Redaction,
    ShareMode,
    Versioned,
    version_not_found,
)
from opencode_cloud.policies.programs import Program, changed_programs, programs_of
from opencode_cloud.policies.requests import ConfigurationChange, PolicyChange, Restoration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opencode_cloud.catalogue.models import Catalogue
    from opencode_cloud.catalogue.service.caching import CatalogueCache
    from opencode_cloud.policies.models import DocumentRevision
    from opencode_cloud.policies.service import Publisher

UNITS = {
    gettext_noop("days"): 86_400,
    gettext_noop("hours"): 3600,
    gettext_noop("minutes"): 60,
    gettext_noop("seconds"): 1,
}
RULES = {
    "providers": (gettext_noop("Providers"), gettext_noop("Ids, such as anthropic.")),
    "models": (gettext_noop("Models"), gettext_noop("As provider/model, such as openai/gpt-5*.")),
    "tools": (gettext_noop("Tools"), gettext_noop("Names, such as bash, edit, mymcp_*.")),
}
MODES = {
    ShareMode.LINK: gettext_noop("anyone with the link"),
    ShareMode.WORKSPACE: gettext_noop("members only"),
    ShareMode.OFF: gettext_noop("no one: sharing is disabled"),
}
REDACTION = {
    Redaction.ON: gettext_noop("replace them"),
    Redaction.REPORT: gettext_noop("report them to the share's owner only"),
    Redaction.OFF: gettext_noop("do not search for them"),
}
TOOLS = (
    *("bash", "edit", "glob", "grep", "list", "lsp", "patch", "question", "read", "skill", "task", "todowrite"),
    *("webfetch", "websearch", "write"),
)
"""Tools of opencode that a policy can name. Names of other agents' tools, and of MCP servers, can be written too."""
LISTED = "listed"
LARGEST_TEXT = 1_000_000
_MANAGE = {Versioned.POLICY: Permission.POLICY_MANAGE, Versioned.CONFIGURATION: Permission.CONFIGURATION_MANAGE}


class VersionPages(ABC):
    """The pages that both documents have: the list of versions, one version, and restoring it."""

    PAGE: ClassVar[ConsolePage]

    def __init__(self, app: ConsoleApp, publisher: Publisher, kind: Versioned) -> None:
        self._app = app
        self.publisher = publisher
        self._kind = kind

    def mount(self) -> None:
        """Add every page."""
        routes, manage, one = (
            self._app.add(self.PAGE, self.show),
            _MANAGE[self._kind],
            f"{self.PAGE.path}/versions/<version>",
        )
        routes.post(self.PAGE.path, self.publish, manage, self.show)
        routes.get(one, self.version, self.PAGE.permission)
        routes.post(f"{one}/restore", self.restore, manage, self.version)

    def show(self, request: PageRequest) -> Response[str]:
        """``GET .../{kind}``: the current version, as a form if the actor may change it, and the list of versions."""
        before = request.query("before")
        versions = self.publisher.versions(
            self._kind, request.workspace.id, _number(before, self._kind) if before else None, DEFAULT_LIMIT + 1
        )
        return self._app.page(
            request,
            kind=self._kind,
            manages=request.may(_MANAGE[self._kind]),
            versions=versions[:DEFAULT_LIMIT],
            more=versions[DEFAULT_LIMIT - 1].version if len(versions) > DEFAULT_LIMIT else 0,
            **self.values(request, self.publisher.current(self._kind, request.workspace.id)),
        )

    def publish(self, request: PageRequest) -> Response[str]:
        """``POST .../{kind}``: publish the next version."""
        read, (document, comment) = request.form.version(), self.typed(request.form)
        document = {**self.kept(request), **document}
        here = self._app.base_url()
        self.publisher.publish(request.actor, request.workspace.id, self._kind, document, read, comment, here=here)
        return see(f"{request.base}/{self._kind}?done=published")

    def version(self, request: PageRequest, version: str) -> Response[str]:
        """``GET .../{kind}/versions/{version}``: an older version, and the changes since then."""
        number = _number(version, self._kind)
        current = self.publisher.current(self._kind, request.workspace.id)
        revision = self.publisher.revision(self._kind, request.workspace.id, number)
        return self._app.page(
            request,
            "version.html",
            kind=self._kind,
            manages=request.may(_MANAGE[self._kind]),
            revision=revision,
            present=current,
            programs=programs_of(revision.document) if self._kind is Versioned.CONFIGURATION else [],
            changes=self.publisher.differences(self._kind, request.workspace.id, number, current.version),
        )

    def restore(self, request: PageRequest, version: str) -> Response[str]:
        """``POST .../{kind}/versions/{version}/restore``: publish its contents as the next version."""
        comment = checked(Restoration, {"comment": request.form.one("comment")}).comment
        number, read = _number(version, self._kind), request.form.version()
        here = self._app.base_url()
        self.publisher.restore(request.actor, request.workspace.id, self._kind, number, read, comment, here=here)
        return see(f"{request.base}/{self._kind}?done=restored")

    def kept(self, _request: PageRequest) -> dict[str, Any]:
        """Return the document of which publishing keeps the members that the form does not show."""
        return {}

    @abstractmethod
    def values(self, request: PageRequest, current: DocumentRevision) -> dict[str, Any]:
        """Return the values that the form shows: the current version, or the submitted values after a refusal."""

    @abstractmethod
    def typed(self, form: Form) -> tuple[dict[str, Any], str]:
        """Return the submitted document and its comment; raises :class:`InvalidForm` (422)."""


class PolicyPages(VersionPages):
    """The policy, as a form with one field for each rule."""

    PAGE: ClassVar[ConsolePage] = menu.POLICY

    def __init__(self, app: ConsoleApp, publisher: Publisher, catalogue: CatalogueCache) -> None:
        super().__init__(app, publisher, Versioned.POLICY)
        self._catalogue = catalogue

    def publish(self, request: PageRequest) -> Response[str]:
        """``POST .../policy``: publish the next version; with ``preview``, only show the effect of the form."""
        if request.form.one("preview"):
            self.typed(request.form)
            return self.show(request)
        return super().publish(request)

    def values(self, request: PageRequest, current: DocumentRevision) -> dict[str, Any]:
        """See the base class."""
        policy = Policy.model_validate(current.document)
        filled = _fields(policy) | {"version": str(current.version), "comment": ""}
        previewed = bool(request.form.one("preview")) and not request.failed
        fallbacks = rows_of(policy.fallbacks)
        if request.failed or previewed:
            filled = {name: request.form.one(name) for name in filled}
            fallbacks = typed_rows(request.form) + [FallbackRow()] * EMPTY_ROWS
        if previewed:
            policy = Policy.model_validate({**current.document, **self.typed(request.form)[0]})
        catalogue = self._catalogue.current()
        return {
            "previewed": previewed,
            "effects": effects_of(policy, catalogue),
            "choices": choices_of(catalogue),
            "filled": filled,
            "fallbacks": fallbacks,
            "reasons": REASONS,
            "present": current,
            "rules": RULES,
            "modes": MODES,
            "redaction": REDACTION,
            "units": UNITS,
        }

    def kept(self, request: PageRequest) -> dict[str, Any]:
        """See the base class."""
        return self.publisher.current(self._kind, request.workspace.id).document

    def typed(self, form: Form) -> tuple[dict[str, Any], str]:
        """See the base class."""
        faults: list[DocumentFault] = []
        policy: dict[str, Any] = {name: _rules(form, name) for name in RULES} | {
            "default_model": form.one("default_model") or None,
            "small_model": form.one("small_model") or None,
            "share": {
                "mode": form.one("share_mode"),
                "max_lifetime_seconds": _lifetime(form, faults),
                "redaction": form.one("share_redaction") or Redaction.ON,
                "patterns": [_pattern(line) for line in form.lines("share_patterns")],
            },
        }
        # A form from before these fields existed changes none of them.
        if "session_budget" in form.fields:
            policy["session_budget"] = _session_budget(form, faults)
        if "fallback_rows" in form.fields:
            policy["fallbacks"] = [row.document() for row in typed_rows(form)]
        try:
            change = checked(PolicyChange, {"policy": policy, "comment": form.one("comment")})
        except InvalidForm as error:
            raise InvalidForm([*faults, *error.faults]) from error
        if faults:
            raise InvalidForm(faults)
        return change.policy.model_dump(mode="json", include=set(policy)), change.comment


class ConfigurationPages(VersionPages):
    """The configuration document, as one JSON text."""

    PAGE: ClassVar[ConsolePage] = menu.CONFIGURATION

    def __init__(self, app: ConsoleApp, publisher: Publisher) -> None:
        super().__init__(app, publisher, Versioned.CONFIGURATION)

    def values(self, request: PageRequest, current: DocumentRevision) -> dict[str, Any]:
        """See the base class."""
        text = json.dumps(current.document, indent=2, ensure_ascii=False)
        filled = {"text": text, "version": str(current.version), "comment": ""}
        programs, confirmation = programs_of(current.document), ""
        if request.failed:
            filled = {name: request.form.one(name) for name in filled}
        if isinstance(request.error, UnconfirmedPrograms):
            programs, confirmation = request.error.programs, request.error.confirmation
        lines = _lines(filled["text"], request)
        return {
            "filled": filled,
            "present": current,
            "lines": lines,
            "programs": programs,
            "confirmation": confirmation,
        }

    def publish(self, request: PageRequest) -> Response[str]:
        """``POST .../configuration``: publish the next version; first show the programs that it changes."""
        document = self.typed(request.form)[0]
        workspace_id = request.workspace.id
        self.publisher.preview(workspace_id, document, here=self._app.base_url())
        changed = changed_programs(self.publisher.current(self._kind, workspace_id).document, document)
        if changed and request.may(Permission.CONFIGURATION_PROGRAMS):
            unconfirmed = UnconfirmedPrograms(changed)
            if request.form.one("confirmation") != unconfirmed.confirmation:
                raise unconfirmed
        return super().publish(request)

    def typed(self, form: Form) -> tuple[dict[str, Any], str]:
        """See the base class."""
        text = form.one("text")
        if len(text) > LARGEST_TEXT:
            words = _("Write at most {max_length} characters").format(max_length=LARGEST_TEXT)
            raise InvalidForm([DocumentFault(path="/text", message=words)])
        try:
            document = parse(text)
        except json.JSONDecodeError as error:
            words = _(
                "line %(line)s, column %(column)s: this is not JSON: %(reason)s",
                line=error.lineno,
                column=error.colno,
                reason=error.msg,
            )
            raise InvalidForm([DocumentFault(path="/text", message=words)]) from error
        except (ValueError, RecursionError) as error:
            words = _("this cannot be read: %(reason)s", reason=error)
            raise InvalidForm([DocumentFault(path="/text", message=words)]) from error
        change = checked(ConfigurationChange, {"configuration": document, "comment": form.one("comment")})
        return change.configuration, change.comment


class UnconfirmedPrograms(Unprocessable):
    """The form changes programs on members' machines, and the person has not seen them listed yet."""

    def __init__(self, programs: Sequence[Program]) -> None:
        super().__init__(
            "unconfirmed_programs",
            gettext_noop(
                "Nothing was published yet. This version changes what runs on members' machines. Read the list, and "
                "publish again to confirm it."
            ),
        )
        self.programs = programs
        listed = json.dumps([program.model_dump() for program in programs], sort_keys=True)
        self.confirmation = hashlib.sha256(listed.encode()).hexdigest()
        """The value that the form sends back. It confirms exactly these programs."""


def _lines(text: str, request: PageRequest) -> list[ExcerptLine]:
    if not request.faults:
        return []
    try:
        parse(text)
    except json.JSONDecodeError as error:
        shown, first = text.split("\n"), max(0, error.lineno - 3)
        return [
            ExcerptLine(number, line, (error.msg,) if number == error.lineno else ())
            for number, line in enumerate(shown[first : error.lineno + 2], first + 1)
        ]
    except (ValueError, RecursionError):
        return []
    return excerpt(text, request.faults)


def _fields(policy: Policy) -> dict[str, str]:
    """Return a policy as the fields of its form."""
    seconds = policy.share.max_lifetime_seconds
    unit = next((unit for unit, size in UNITS.items() if seconds and seconds % size == 0), "days")
    fields = {
        "share_mode": str(policy.share.mode),
        "lifetime": str(seconds // UNITS[unit]) if seconds else "",
        "unit": unit,
        "share_redaction": str(policy.share.redaction),
        "share_patterns": "\n".join(f"{each.name} {each.pattern}" for each in policy.share.patterns),
        "default_model": policy.default_model or "",
        "small_model": policy.small_model or "",
        "session_budget": "" if policy.session_budget is None else money.exact(policy.session_budget),
    }
    for name in RULES:
        rules: PolicyRules = getattr(policy, name)
        fields[f"{name}_mode"] = "" if rules.allow is None else LISTED
        fields[f"{name}_allow"] = "\n".join(rules.allow or ())
        fields[f"{name}_deny"] = "\n".join(rules.deny)
    return fields


def effects_of(policy: Policy, catalogue: Catalogue) -> list[tuple[str, bool]]:
    """Return the name of each model of the catalogue, and whether members may use it under a policy."""
    rules = enforced(policy, 0)
    return [
        (f"{catalogue.provider}/{model}", rules.permits_model(catalogue.provider, model))
        for model in sorted(catalogue.models)
    ]


def choices_of(catalogue: Catalogue) -> dict[str, list[str]]:
    """Return the names that the rules of each kind can use."""
    return {
        "providers": [catalogue.provider],
        "models": [f"{catalogue.provider}/{model}" for model in sorted(catalogue.models)],
        "tools": list(TOOLS),
    }


def _pattern(line: str) -> dict[str, str]:
    """Read a line of a kind, a blank and a pattern."""
    name, _, pattern = line.partition(" ")
    return {"name": name, "pattern": pattern.strip()}


def _rules(form: Form, name: str) -> dict[str, Any]:
    allow = form.lines(f"{name}_allow") if form.one(f"{name}_mode") == LISTED else None
    return {"allow": allow, "deny": form.lines(f"{name}_deny")}


def _lifetime(form: Form, faults: list[DocumentFault]) -> int | None:
    """Return a lifetime in seconds; None for no limit. Add what is wrong with it to ``faults``."""
    text, size = form.one("lifetime"), UNITS.get(form.one("unit"), 0)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and size):
        faults.append(
            DocumentFault(path="/policy/share/max_lifetime_seconds", message=gettext_noop("Write a whole number"))
        )
        return None
    return int(text) * size


def _session_budget(form: Form, faults: list[DocumentFault]) -> int | None:
    """Return the most that a session may cost in micro-cents; None for no limit. Add what is wrong to ``faults``."""
    if not form.one("session_budget"):
        return None
    try:
        amount = form.dollars("session_budget")
    except InvalidForm:
        amount = 0
    if 0 < amount <= LARGEST_LIMIT:
        return amount
    faults.append(DocumentFault(path="/policy/session_budget", message=gettext_noop("Write an amount such as 20.00")))
    return None


def _number(text: str, kind: Versioned) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(LARGEST_VERSION)):
        raise version_not_found(kind)
    return int(text)
