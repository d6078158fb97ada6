"""Models of the catalogue: upstreams, models, prices and routes.

They use msgspec because the gateway's hot path reads them (docs/decisions/017). Prices are integer micro-cents per
million tokens (US$1 is 100,000,000 micro-cents). Costs are integer micro-cents.
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
    """A wire format of model calls, of clients' requests and upstreams' responses (docs/gateway.md)."""

    # The catalogue knows only a format's name and library. Its folder under ``gateway/formats`` has the rest.

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
        """The npm package with which the client uses the format. The client contains it, so nothing is installed."""
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


class ModelKind(StrEnum):
    """The work of a model, which determines the addresses at which clients call it."""

    GENERATION = "generation"
    """Generates answers. It can be called in every format."""
    EMBEDDING = "embedding"
    """Turns texts into vectors. Only its input has a price."""


STANDARD_TIER = "standard"
"""The service tier whose rates are those of a price itself."""
UNPRICED_TIER_PERCENT = 200
"""The price of a served tier without a price, in percent of the standard price, if the catalogue does not state it."""


class UpstreamKind(StrEnum):
    """The kind of an upstream, which determines its address and authentication."""

    OPENAI = "openai"
    """Chat and Responses."""
    ANTHROPIC = "anthropic"
    """Messages."""
    GOOGLE = "google"
    """generateContent."""
    BEDROCK = "bedrock"
    """Amazon Bedrock with the gateway's own role: Anthropic's models in Messages, as an event stream."""
    OPENAI_COMPATIBLE = "openai-compatible"
    """Any server of Chat Completions: vLLM, Ollama, LiteLLM, OpenRouter."""


FORMATS_BY_KIND: dict[UpstreamKind, tuple[Format, ...]] = {
    UpstreamKind.OPENAI: (Format.RESPONSES, Format.CHAT),
    UpstreamKind.ANTHROPIC: (Format.MESSAGES,),
    UpstreamKind.GOOGLE: (Format.GENERATE,),
    UpstreamKind.BEDROCK: (Format.MESSAGES,),
    UpstreamKind.OPENAI_COMPATIBLE: (Format.CHAT,),
}
"""The formats that each kind of upstream supports, the preferred one first."""
EMBEDDING_FORMATS: dict[UpstreamKind, Format] = {
    UpstreamKind.OPENAI: Format.CHAT,
    UpstreamKind.GOOGLE: Format.GENERATE,
    UpstreamKind.OPENAI_COMPATIBLE: Format.CHAT,
}
"""The format whose vendor defines the embeddings of each kind of upstream. Other kinds have none."""


class Timers(msgspec.Struct, frozen=True, kw_only=True):
    """Time limits of the phases of an upstream call, in seconds."""

    connect: float = 5
    first_byte: float = 60
    between_chunks: float = 300
    """The same as the clients' limit. Models may think for minutes without sending anything."""
    total: float = 840
    """Less than the 15 minutes of a Lambda function, which leaves time to settle the call."""


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """A server that runs models."""

    kind: UpstreamKind
    name: str
    base_url: str | None = None
    """None: the public address of the kind."""
    region: str | None = None
    """The region of Bedrock; None: the deployment's region."""
    timers: Timers = Timers()
    byok: bool = True
    """True if a workspace's own credential for this upstream replaces the platform's."""
    beta_flags: tuple[str, ...] | None = None
    """The flags of Anthropic's previews that it knows. None: those of its kind."""
    cache_marks: bool = False
    """True if it takes cache marks (``cache_control``) in Chat Completions, as OpenRouter and LiteLLM do."""


class Rates(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Micro-cents per million tokens, by kind of token."""

    input: int
    output: int
    cache_read: int | None = None
    """None: the same as ``input``."""
    cache_write: int | None = None
    """The cache lives for five minutes. None: the same as ``input``."""
    cache_write_1h: int | None = None
    """The cache lives for an hour. None: the same as ``cache_write``."""
    input_audio: int | None = None
    """Sound in a prompt. None: it has no price of its own."""
    cache_read_audio: int | None = None
    """Sound that is read from a cache. None: the same as ``input_audio``."""
    output_audio: int | None = None
    """Sound in an answer. None: it has no price."""


class Tier(msgspec.Struct, frozen=True, kw_only=True):
    """Other rates for calls with long prompts."""

    above: int
    """These rates apply to the whole call if it has more prompt tokens of all kinds than this."""
    rates: Rates


class ServiceTier(msgspec.Struct, frozen=True, kw_only=True):
    """The rates of one service tier: the vendor serves the call faster or later, at another price."""

    version: str
    """Identifies the rates in usage events, as the version of a price does."""
    rates: Rates
    tiers: tuple[Tier, ...] = ()


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """The price of a model from a given time until the model's next price begins."""

    version: str
    """Identifies the price in usage events. No two prices share a version."""
    since: int
    """Seconds since the epoch."""
    rates: Rates
    tiers: tuple[Tier, ...] = ()
    """Ordered by ``above``, ascending."""
    service_tiers: dict[str, ServiceTier] = {}
    """Rates of other service tiers than the standard one, by the name that upstreams report."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A model at an upstream. ``weight`` decides among the healthy routes with the lowest ``priority``."""

    upstream: str
    model: str
    """The upstream's name of the model."""
    priority: int = 1
    weight: int = 1
    """0: the route is never chosen."""
    formats: tuple[Format, ...] | None = None
    """None: the formats of the upstream's kind."""


class TokenLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits in tokens."""

    context: int
    output: int
    """The maximum of one answer. It is reserved when a request has no limit of its own. 0 for embeddings."""
    input: int | None = None


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A model under the id that clients use."""

    id: str
    name: str
    kind: ModelKind = ModelKind.GENERATION
    format: Format
    """The format that clients are configured to use. A model that generates can be called in every format."""
    limits: TokenLimits
    prices: tuple[Price, ...]
    """Ordered by ``since``, ascending."""
    routes: tuple[Route, ...]
    aliases: tuple[str, ...] = ()
    family: str = ""
    tokenizer: str = ""
    """The encoding that counts prompts exactly (``o200k_base``); empty: the byte length is the upper bound."""
    audio_at_text_rate: bool = False
    """True if audio in a prompt costs as much as text. Otherwise it has a rate of its own, or is refused."""
    sticky: bool = True
    """True if the calls of a session keep one upstream while it is healthy, to reuse its prompt cache."""
    public: bool = False
    """True if anonymous calls may use it, when the stage allows anonymous calls."""
    listing: dict[str, msgspec.Raw] = {}
    """Further members of its entry in ``/api.json``, which clients show or depend on (modalities, dates)."""

    def price(self, at: int) -> Price:
        """Return the price at ``at`` (seconds since the epoch). Before the first price begins, that price applies."""
        return next((price for price in reversed(self.prices) if price.since <= at), self.prices[0])


class Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    """One published version of all models and upstreams."""

    version: int
    provider: str = "opencode-cloud"
    """The id of our gateway in clients. Policies name its models ``<provider>/<model>``."""
    provider_name: str = "Opencode Cloud"
    small_model: str = ""
    """Id of the model for small tasks such as titles; empty: clients choose one themselves."""
    unpriced_tier_percent: int = UNPRICED_TIER_PERCENT
    """The price of a call that was served by a tier without a price, in percent of the standard price."""
    upstreams: dict[str, Upstream] = {}
    models: dict[str, Model] = {}

    def find(self, name: str) -> Model | None:
        """Return a model by its id or an alias, case-sensitively; None when there is none."""
        model = self.models.get(name)
        return model or next((model for model in self.models.values() if name in model.aliases), None)


class CatalogueRevision(msgspec.Struct, frozen=True, kw_only=True):
    """One published version of the document that people write. Versions are immutable."""

    number: int
    """0: nothing was published yet, and the starting catalogue is in force."""
    document: str = ""
    """The JSON text; empty in lists."""
    comment: str = ""
    created_by: str = ""
    created_at: datetime | None = None
    """UTC, without a zone."""


class CatalogueFault(msgspec.Struct, frozen=True):
    """An error in a document, and its place."""

    path: str
    """A JSON pointer (RFC 6901); empty: the document as a whole."""
    message: str

    def __str__(self) -> str:
        """Return the place and the message on one line."""
        return f"{self.path or 'the document'}: {self.message}"


class InvalidCatalogue(Unprocessable):
    """The error for a document that cannot be published; ``faults`` lists each place."""

    def __init__(self, faults: Sequence[CatalogueFault]) -> None:
        super().__init__("invalid_catalogue", "The catalogue cannot be published.\n" + "\n".join(map(str, faults)))
        self.faults = faults
        self.details = {"errors": [{"field": fault.path, "message": fault.message} for fault in faults]}


def catalogue_version_not_found() -> NotFound:
    """Return the error for a version that does not exist."""
    return NotFound("catalogue_version_not_found", "The catalogue has no version with this number.")


def listing_not_found() -> NotFound:
    """Return the error for an unknown workspace or an invalid token; both give the same answer."""
    return NotFound("listing_not_found", "There is no list of models at this address.")
