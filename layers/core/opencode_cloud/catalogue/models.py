"""The nouns of the catalogue: upstreams, models, prices, routes; and what a call's tokens cost.

Read on the gateway's hot path, so msgspec (docs/decisions/017). Amounts are integers: a price is in micro-cents per
million tokens (US$1 is 100,000,000 micro-cents), a cost in micro-cents.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import assert_never

import msgspec

from opencode_cloud.kit.errors import NotFound, Unprocessable

MILLION = 1_000_000


class Format(StrEnum):
    """A wire format of model calls, in which clients send requests and upstreams answer (docs/gateway.md)."""

    # The catalogue knows no more of a format than this. Everything else is in its folder under ``gateway/formats``.

    CHAT = "chat"
    """OpenAI Chat Completions."""
    MESSAGES = "messages"
    """Anthropic Messages."""
    RESPONSES = "responses"
    """OpenAI Responses."""
    GENERATE = "generate"
    """Google's generateContent."""

    @property
    def client_library(self) -> str:
        """The package (npm) by which the client speaks the format. It is in the client: nothing is installed."""
        match self:
            case Format.CHAT:
                return "@ai-sdk/openai-compatible"
            case Format.MESSAGES:
                return "@ai-sdk/anthropic"
            case Format.RESPONSES:
                return "@ai-sdk/openai"
            case Format.GENERATE:
                return "@ai-sdk/google"
            case _:
                assert_never(self)


class UpstreamKind(StrEnum):
    """How an upstream is addressed and authenticated."""

    OPENAI = "openai"
    """Chat and Responses."""
    ANTHROPIC = "anthropic"
    """Messages."""
    GOOGLE = "google"
    """generateContent."""
    BEDROCK = "bedrock"
    """Amazon Bedrock, under the gateway's own role: Anthropic's models in Messages, as an event stream."""
    OPENAI_COMPATIBLE = "openai-compatible"
    """Anything that speaks Chat Completions: vLLM, Ollama, LiteLLM, OpenRouter."""


FORMATS_BY_KIND: dict[UpstreamKind, tuple[Format, ...]] = {
    UpstreamKind.OPENAI: (Format.RESPONSES, Format.CHAT),
    UpstreamKind.ANTHROPIC: (Format.MESSAGES,),
    UpstreamKind.GOOGLE: (Format.GENERATE,),
    UpstreamKind.BEDROCK: (Format.MESSAGES,),
    UpstreamKind.OPENAI_COMPATIBLE: (Format.CHAT,),
}
"""What each kind of upstream speaks, the preferred one first."""


class Timers(msgspec.Struct, frozen=True, kw_only=True):
    """How long each phase of an upstream call may take, in seconds."""

    connect: float = 5
    first_byte: float = 60
    between_chunks: float = 300
    """As long as clients themselves wait: models may think for minutes without a word."""
    total: float = 840
    """Less than the 15 minutes of a Lambda function, so that the call can still be settled."""


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """A server that runs models."""

    kind: UpstreamKind
    name: str
    base_url: str | None = None
    """None: the kind's own public address."""
    region: str | None = None
    """Of Bedrock; None: the deployment's."""
    timers: Timers = Timers()
    byok: bool = True
    """Whether a workspace's own credential for this upstream takes the place of the platform's."""


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """Micro-cents per million tokens, by kind of token."""

    input: int
    output: int
    cache_read: int | None = None
    """None: as ``input``."""
    cache_write: int | None = None
    """Kept for five minutes. None: as ``input``."""
    cache_write_1h: int | None = None
    """Kept for an hour. None: as ``cache_write``."""


class Tier(msgspec.Struct, frozen=True, kw_only=True):
    """Other rates for calls with long prompts."""

    above: int
    """Prompt tokens of all kinds from which (exclusively) the whole call costs these rates."""
    rates: Rates


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What a model costs from a moment on, until the next price of the model begins."""

    version: str
    """Names the price in usage events; never used for another price."""
    since: int
    """Seconds since the epoch."""
    rates: Rates
    tiers: tuple[Tier, ...] = ()
    """By ``above``, ascending."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One way to a model. Of the routes with the lowest ``priority`` that are healthy, one is chosen by ``weight``."""

    upstream: str
    model: str
    """The upstream's name of the model."""
    priority: int = 1
    weight: int = 1
    """0: never chosen."""
    formats: tuple[Format, ...] | None = None
    """None: those of the upstream's kind."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """In tokens."""

    context: int
    output: int
    """The most that one answer can have: what is reserved for when a request names no limit."""
    input: int | None = None


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A model as clients name it."""

    id: str
    name: str
    format: Format
    """In which clients are told to ask for it; every model can be asked for in every format."""
    limits: Limits
    prices: tuple[Price, ...]
    """By ``since``, ascending."""
    routes: tuple[Route, ...]
    aliases: tuple[str, ...] = ()
    family: str = ""
    tokenizer: str = ""
    """Name of the encoding by which prompts are counted exactly (``o200k_base``); empty: they are bounded by bytes."""
    sticky: bool = True
    """Whether the calls of one session stay with one upstream while it is healthy: caches of prompts live there."""
    public: bool = False
    """Whether anonymous calls may use it, where the stage allows these."""
    listing: dict[str, msgspec.Raw] = {}
    """Further members of its entry in ``/api.json``: what clients show and decide by (modalities, dates)."""

    def price(self, at: int) -> Price:
        """Return the price in force at ``at`` (seconds since the epoch): the first one also holds before its time."""
        return next((price for price in reversed(self.prices) if price.since <= at), self.prices[0])


class Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    """One published version of everything that can be called."""

    version: int
    provider: str = "opencode-cloud"
    """The id under which clients know our gateway, and policies its models: ``<provider>/<model>``."""
    provider_name: str = "Opencode Cloud"
    small_model: str = ""
    """Id of the model for titles and the like; empty: clients choose one themselves."""
    upstreams: dict[str, Upstream] = {}
    models: dict[str, Model] = {}

    def find(self, name: str) -> Model | None:
        """Return a model by its id or an alias, letter by letter; None: there is none."""
        found = self.models.get(name)
        return found or next((model for model in self.models.values() if name in model.aliases), None)


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """One published version of the document that people write. It never changes."""

    number: int
    """0: nothing was published yet, and the starting catalogue counts."""
    document: str = ""
    """JSON, as it was written; empty in lists."""
    comment: str = ""
    created_by: str = ""
    created_at: datetime | None = None
    """UTC, without a zone."""


class Fault(msgspec.Struct, frozen=True):
    """What is wrong with a document, and where."""

    path: str
    """A JSON pointer (RFC 6901); empty: the document as a whole."""
    message: str

    def __str__(self) -> str:
        """Write it on a line."""
        return f"{self.path or 'the document'}: {self.message}"


class InvalidCatalogue(Unprocessable):
    """A document cannot be published; ``faults`` names each place."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("invalid_catalogue", "The catalogue cannot be published.\n" + "\n".join(map(str, faults)))
        self.faults = faults
        self.details = {"errors": [{"field": fault.path, "message": fault.message} for fault in faults]}


def catalogue_version_not_found() -> NotFound:
    """There is no such version."""
    return NotFound("catalogue_version_not_found", "The catalogue has no version with this number.")


def listing_not_found() -> NotFound:
    """The address names no workspace, or carries a token that is not ours: the same answer."""
    return NotFound("listing_not_found", "There is no list of models at this address.")
