"""The nouns of policies: the policy, the configuration document, their versions; and the errors of the feature."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from opencode_cloud.contracts.access import Rules as EnforcedRules
from opencode_cloud.kit.errors import NotFound, Unprocessable
from opencode_cloud.kit.json_documents import Fault
from opencode_cloud.kit.moments import Instant

Pattern = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\s\"'{}]+$")]
Name = Annotated[str, Field(min_length=3, max_length=200, pattern=r"^[^\s\"'{}/*?]+/[^\s\"'{}*?]+$")]
MAX_PATTERNS = 200
DAY_SECONDS = 86_400


class ShareMode(StrEnum):
    """The widest that shares may be."""

    OFF = "off"
    WORKSPACE = "workspace"
    LINK = "link"


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rules(_Form):
    """Which names are allowed: patterns, in which `*` stands for any text and `?` for one character."""

    allow: list[Pattern] | None = Field(
        default=None, max_length=MAX_PATTERNS, description="Patterns of what is allowed; null allows everything."
    )
    deny: list[Pattern] = Field(default=[], max_length=MAX_PATTERNS, description="Patterns that win over `allow`.")

    def enforced(self) -> EnforcedRules:
        """Return the rules as the hot planes enforce them."""
        return EnforcedRules(allow=None if self.allow is None else tuple(self.allow), deny=tuple(self.deny))


class SharePolicy(_Form):
    """What may be shared, and for how long."""

    mode: ShareMode = Field(
        default=ShareMode.LINK,
        description="`off`: nothing; `workspace`: with members; `link`: with whoever has the link.",
    )
    max_lifetime_seconds: int | None = Field(
        default=None,
        ge=60,
        le=3650 * DAY_SECONDS,
        description="The longest that a share may live; null: as long as its owner likes.",
    )


class Policy(_Form):
    """What members may do. The default restricts nothing."""

    providers: Rules = Field(default=Rules(), description="Of provider ids, such as `anthropic`.")
    models: Rules = Field(default=Rules(), description="Of models as `provider/model`, such as `openai/gpt-5*`.")
    default_model: Name | None = Field(default=None, description="What clients begin with, as `provider/model`.")
    small_model: Name | None = Field(default=None, description="For titles and the like, as `provider/model`.")
    share: SharePolicy = SharePolicy()
    tools: Rules = Field(default=Rules(), description="Of tool names, such as `bash`, `edit`, `mymcp_*`.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name, model in (("default_model", self.default_model), ("small_model", self.small_model)):
            if model and not self.permits(model):
                raise ValueError(f"{name} {model} is not among the providers and models that the policy allows")
        return self

    def permits(self, model: str) -> bool:
        """Tell whether ``model``, a name ``provider/model``, may be used."""
        return self.providers.enforced().permit(model.partition("/")[0]) and self.models.enforced().permit(model)


class Versioned(StrEnum):
    """The two documents of a workspace that are kept in versions."""

    POLICY = "policy"
    CONFIGURATION = "configuration"


class Version(BaseModel):
    """One version of a document. It never changes: a change, also a return to an older one, makes a new version."""

    model_config = ConfigDict(frozen=True)

    version: int = Field(description="0: nothing was published yet.")
    comment: str = ""
    created_by: str = ""
    created_at: Instant | None = None


class Revision(Version):
    """A version with its contents."""

    document: dict[str, Any]


class InvalidDocument(Unprocessable):
    """A document cannot be published; ``faults`` names each place."""

    def __init__(self, faults: list[Fault]) -> None:
        named = "; ".join(f"{fault.path or 'the document'}: {fault.message}" for fault in faults[:5])
        more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
        super().__init__("invalid_document", f"Clients would not start with this. {named}{more}.")
        self.faults = faults
        self.details = {"errors": [{"field": fault.path, "message": fault.message} for fault in faults]}


def version_not_found(document: Versioned) -> NotFound:
    """There is no such version."""
    return NotFound("version_not_found", f"The {document} has no version with this number.")
