"""Models of policies: the policy, the configuration document, their versions, and the errors of the feature."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from opencode_cloud.contracts.access import EnforcedRules, FallbackChain, FallbackReason
from opencode_cloud.contracts.budgets import LARGEST_LIMIT
from opencode_cloud.kit.errors import Forbidden, NotFound, Unprocessable
from opencode_cloud.kit.instants import Instant
from opencode_cloud.kit.json_documents import DocumentFault
from opencode_cloud.kit.linear_patterns import InvalidPattern, small_pattern

Pattern = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\s\"'{}]+$")]
Name = Annotated[str, Field(min_length=3, max_length=200, pattern=r"^[^\s\"'{}/*?]+/[^\s\"'{}*?]+$")]
MAX_PATTERNS = 200
DAY_SECONDS = 86_400
MOST_SECRET_PATTERNS = 20
"""Each is searched in everything that is shared."""
MOST_FALLBACKS = 3
"""Models in one chain. Each takes as long as its upstreams need to fail."""


class ShareMode(StrEnum):
    """The widest audience that shares may have."""

    OFF = "off"
    WORKSPACE = "workspace"
    LINK = "link"


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PolicyRules(_Form):
    """Patterns of allowed and denied names. `*` matches any text, `?` matches one character."""

    allow: list[Pattern] | None = Field(
        default=None, max_length=MAX_PATTERNS, description="Patterns of allowed names; null allows all."
    )
    deny: list[Pattern] = Field(
        default=[], max_length=MAX_PATTERNS, description="Patterns of denied names, which override `allow`."
    )

    def enforced(self) -> EnforcedRules:
        """Return the rules in the form that the data planes enforce."""
        return EnforcedRules(allow=None if self.allow is None else tuple(self.allow), deny=tuple(self.deny))


class Redaction(StrEnum):
    """The treatment of secrets in shares."""

    ON = "on"
    REPORT = "report"
    OFF = "off"


class SecretPattern(_Form):
    """A form of secrets of this workspace."""

    name: str = Field(
        min_length=1,
        max_length=40,
        pattern=r"^[a-z][a-z0-9-]*$",
        description="The kind. `[redacted: <kind>]` replaces each match.",
    )
    pattern: str = Field(
        min_length=1,
        max_length=300,
        description="A regular expression in RE2's syntax, which has no look-around. Matches of fewer than 6 bytes do "
        "not count.",
    )

    @field_validator("pattern")
    @classmethod
    def _check(cls, pattern: str) -> str:
        try:
            small_pattern(pattern)
        except InvalidPattern as error:
            raise ValueError(f"RE2 does not take this pattern: {error}") from error
        return pattern


class SharePolicy(_Form):
    """The audience and lifetime that shares may have, and the secrets that they must not show."""

    mode: ShareMode = Field(
        default=ShareMode.LINK,
        description="`off`: nothing; `workspace`: with members; `link`: with anyone who has the link.",
    )
    max_lifetime_seconds: int | None = Field(
        default=None,
        ge=60,
        le=3650 * DAY_SECONDS,
        description="The maximum lifetime of a share; null: no maximum.",
    )
    redaction: Redaction = Field(
        default=Redaction.ON,
        description="`on`: known forms of secrets are replaced before a share is stored; `report`: they are only "
        "reported to the share's owner; `off`: they are not searched.",
    )
    patterns: list[SecretPattern] = Field(
        default=[], max_length=MOST_SECRET_PATTERNS, description="Forms of secrets besides those that are known to all."
    )


class FallbackRule(_Form):
    """Models that serve a call in place of another model."""

    model: Name = Field(description="The requested model, as `provider/model`, by its id in the catalogue.")
    to: list[Name] = Field(
        min_length=1,
        max_length=MOST_FALLBACKS,
        description="The models to ask in its place, in this order. The policy's rules apply to each of them.",
    )
    when: list[FallbackReason] = Field(
        min_length=1,
        max_length=len(FallbackReason),
        description="`unavailable`: no upstream of the model answered; `context`: the prompt is too long for it; "
        "`budget`: a budget of money is nearly used up.",
    )
    budget_percent: int = Field(
        default=90, ge=1, le=100, description="The used part of a budget from which on it is nearly used up."
    )

    def enforced(self) -> FallbackChain:
        """Return the rule in the form that the gateway enforces."""
        return FallbackChain(
            model=self.model, to=tuple(self.to), when=tuple(self.when), budget_percent=self.budget_percent
        )


class Policy(_Form):
    """Restrictions on members. The default restricts nothing."""

    providers: PolicyRules = Field(default=PolicyRules(), description="Rules of provider ids, such as `anthropic`.")
    models: PolicyRules = Field(
        default=PolicyRules(), description="Rules of models as `provider/model`, such as `openai/gpt-5*`."
    )
    default_model: Name | None = Field(default=None, description="The clients' default model, as `provider/model`.")
    small_model: Name | None = Field(
        default=None, description="The model for small tasks such as titles, as `provider/model`."
    )
    share: SharePolicy = SharePolicy()
    tools: PolicyRules = Field(
        default=PolicyRules(), description="Rules of tool names, such as `bash`, `edit`, `mymcp_*`."
    )

    session_budget: int | None = Field(
        default=None,
        ge=1,
        le=LARGEST_LIMIT,
        description="The most that the calls of one client session may cost together, in micro-cents (a dollar is "
        "100,000,000); null: unlimited. It ends loops of agents.",
    )
    fallbacks: list[FallbackRule] = Field(
        default=[],
        max_length=MAX_PATTERNS,
        description="Models that serve in place of others. At most one rule for each model and reason.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        rules = Counter((rule.model, reason) for rule in self.fallbacks for reason in rule.when)
        faults = [
            (name, f"{model} is not among the providers and models that the policy allows")
            for name, model in (("default_model", self.default_model), ("small_model", self.small_model))
            if model and not self.permits(model)
        ]
        faults += [
            ("fallbacks", f"has {number} rules of {model} for the reason {reason}")
            for (model, reason), number in rules.items()
            if number > 1
        ]
        faults += [
            ("fallbacks", f"names {rule.model} in its own place") for rule in self.fallbacks if rule.model in rule.to
        ]
        if faults:
            words = "; ".join(f"{field} {fault}" for field, fault in faults)
            # One error of pydantic stands for several fields; its context names each, for the form.
            raise PydanticCustomError("fields", "{words}", {"words": words, "faults": faults})
        return self

    def permits(self, model: str) -> bool:
        """Return whether the policy permits ``model``, a name ``provider/model``."""
        return self.providers.enforced().permit(model.partition("/")[0]) and self.models.enforced().permit(model)


class Versioned(StrEnum):
    """The two versioned documents of a workspace."""

    POLICY = "policy"
    CONFIGURATION = "configuration"


class Version(BaseModel):
    """One version of a document. Versions are immutable: each change, also a restoration, creates a new version."""

    model_config = ConfigDict(frozen=True)

    version: int = Field(description="0: nothing was published yet.")
    comment: str = ""
    created_by: str = ""
    created_at: Instant | None = None


class DocumentRevision(Version):
    """A version with its contents."""

    document: dict[str, Any]


class InvalidDocument(Unprocessable):
    """The error for a document that cannot be published; ``faults`` lists each place."""

    def __init__(self, faults: list[DocumentFault]) -> None:
        named = "; ".join(f"{fault.path or 'the document'}: {fault.message}" for fault in faults[:5])
        more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
        super().__init__("invalid_document", f"Clients would not start with this. {named}{more}.")
        self.faults = faults
        self.details = {"errors": [{"field": fault.path, "message": fault.message} for fault in faults]}


class OwnerRequired(Forbidden):
    """The error for programs on members' machines that the actor may not publish; ``errors`` lists each place."""

    def __init__(self, places: Sequence[str]) -> None:
        named, more = ", ".join(places[:5]), f" and {len(places) - 5} more" if len(places) > 5 else ""
        super().__init__(
            "owner_required",
            f"Only an owner of the workspace publishes what runs on members' machines: {named}{more}. "
            "Ask an owner to publish this version.",
        )
        message = "it runs on members' machines, or leads there"
        self.details = {"errors": [{"field": place, "message": message} for place in places]}


def version_not_found(document: Versioned) -> NotFound:
    """Return the error for a version that does not exist."""
    return NotFound("version_not_found", f"The {document} has no version with this number.")
