"""The catalogue document that people write: JSON, with dollars per million tokens as text and dates as RFC 3339.

``docs/catalogue.md`` describes it. This module converts it to a :class:`Catalogue`, in which amounts are integers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from opencode_cloud.catalogue.models import (
    UNPRICED_TIER_PERCENT,
    Catalogue,
    CatalogueFault,
    Format,
    InvalidCatalogue,
    Model,
    ModelKind,
    Price,
    Rates,
    Route,
    ServiceTier,
    Tier,
    Timers,
    TokenLimits,
    Upstream,
    UpstreamKind,
)
from opencode_cloud.kit import money
from opencode_cloud.kit.json_documents import pointer

NOW = "now"
"""The date of a price that begins when the document is published."""
FIRST_YEAR = 2000
MODEL_CHARACTERS = 42
"""Characters of a model's id in the version of its price. Usage events keep the version in 64 characters."""
MAX_CHARACTERS = 4_000_000
"""The maximum length of a document. The payload of the operators' function may have 6 MB."""


def _text(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError('write dollars per million tokens as text, such as "2.50"')  # noqa: TRY004 - pydantic's
    return value


Dollars = Annotated[str, BeforeValidator(_text), Field(pattern=r"^[0-9]{1,6}(\.[0-9]{1,8})?$")]
"""Dollars per million tokens. The eighth decimal place is a micro-cent."""
Id = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""An id of a model. Paths contain it, and policies name it as ``provider/model``."""
Name = Annotated[str, Field(min_length=1, max_length=120)]
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
Seconds = Annotated[float, Field(gt=0, le=3600)]
ServiceTierName = Annotated[str, Field(max_length=20, pattern=r"^[a-z][a-z0-9_-]*$")]
"""The name of a service tier, as upstreams report it."""
BetaFlag = Annotated[str, Field(max_length=80, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Modality = Literal["text", "audio", "image", "video", "pdf"]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class WrittenProvider(_Form):
    """The provider under which clients list our gateway."""

    id: Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[a-z0-9][a-z0-9._-]*$")] = "opencode-cloud"
    name: Name = "Opencode Cloud"


class WrittenTimers(_Form):
    """Time limits in seconds."""

    connect: Seconds = Timers().connect
    first_byte: Seconds = Timers().first_byte
    between_chunks: Seconds = Timers().between_chunks
    total: Seconds = Timers().total


class WrittenUpstream(_Form):
    """A server that runs models."""

    kind: UpstreamKind
    name: Name
    base_url: Annotated[str, Field(max_length=2048, pattern=r"^https?://[\x21-\x7e]+$")] | None = None
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")] | None = None
    timers: WrittenTimers = WrittenTimers()
    byok: bool = True
    beta_flags: Annotated[list[BetaFlag], Field(max_length=100)] | None = None
    cache_marks: bool = False


class WrittenRates(_Form):
    """Dollars per million tokens, by kind of token."""

    input: Dollars
    output: Dollars = "0"
    """Validation requires it of models that generate."""
    cache_read: Dollars | None = None
    cache_write: Dollars | None = None
    cache_write_1h: Dollars | None = None
    input_audio: Dollars | None = None
    cache_read_audio: Dollars | None = None
    output_audio: Dollars | None = None

    def rates(self) -> Rates:
        """Return the rates in micro-cents per million tokens."""
        return Rates(
            input=money.parse_dollars(self.input),
            output=money.parse_dollars(self.output),
            cache_read=_optional(self.cache_read),
            cache_write=_optional(self.cache_write),
            cache_write_1h=_optional(self.cache_write_1h),
            input_audio=_optional(self.input_audio),
            cache_read_audio=_optional(self.cache_read_audio),
            output_audio=_optional(self.output_audio),
        )


class WrittenTier(WrittenRates):
    """Other rates for long prompts."""

    above: Count


class WrittenTieredRates(WrittenRates):
    """Rates with other ones for long prompts."""

    tiers: list[WrittenTier] = Field(default=[], max_length=10)

    def long(self) -> tuple[Tier, ...]:
        """Return the rates for long prompts in micro-cents per million tokens."""
        return tuple(Tier(above=tier.above, rates=tier.rates()) for tier in self.tiers)


class WrittenPrice(WrittenTieredRates):
    """A price that applies from a time on."""

    since: Annotated[str, Field(alias="from", max_length=40)]
    service_tiers: dict[ServiceTierName, WrittenTieredRates] = Field(default={}, max_length=10)

    def price(self, model: str) -> Price:
        """Return the gateway's form. Its version contains a hash, so different prices have different versions."""
        at = moment(self.since)
        served = {name: self._served(name, model, at) for name in self.service_tiers}
        facts = (model, at, self.rates(), self.long())
        return Price(
            version=_version(model[:MODEL_CHARACTERS], at, (*facts, served) if served else facts),
            since=at,
            rates=self.rates(),
            tiers=self.long(),
            service_tiers=served,
        )

    def _served(self, name: str, model: str, at: int) -> ServiceTier:
        written = self.service_tiers[name]
        rates, tiers = written.rates(), written.long()
        named = f"{model[: MODEL_CHARACTERS - len(name) - 1]}/{name}"
        return ServiceTier(version=_version(named, at, (model, name, at, rates, tiers)), rates=rates, tiers=tiers)


class WrittenRoute(_Form):
    """A model at an upstream."""

    upstream: str
    model: Annotated[str, Field(min_length=1, max_length=200)]
    priority: Annotated[int, Field(ge=0, le=1000)] = 1
    weight: Annotated[int, Field(ge=0, le=1000)] = 1
    formats: Annotated[list[Format], Field(min_length=1)] | None = None


class WrittenLimits(_Form):
    """Limits in tokens."""

    context: Count
    output: Count | None = None
    input: Count | None = None


class WrittenModalities(_Form):
    """The media that a model accepts and produces."""

    input: list[Modality] = ["text"]
    output: list[Modality] = ["text"]


class WrittenListing(_Form):
    """Properties that clients show or depend on."""

    attachment: bool = False
    reasoning: bool = False
    reasoning_options: list[dict[str, Any]] | None = None
    tool_call: bool = True
    temperature: bool = False
    interleaved: dict[Literal["field"], str] | bool | None = None
    modalities: WrittenModalities = WrittenModalities()
    release_date: Annotated[str, Field(pattern=r"^[0-9]{4}(-[0-9]{2}){0,2}$")] = "2026-01-01"
    last_updated: Annotated[str, Field(pattern=r"^[0-9]{4}(-[0-9]{2}){0,2}$")] | None = None
    knowledge: Annotated[str, Field(max_length=40)] | None = None
    open_weights: bool = False
    status: Literal["alpha", "beta", "deprecated"] | None = None


class WrittenModel(_Form):
    """A model under the id that clients use."""

    name: Name
    kind: ModelKind = ModelKind.GENERATION
    format: Format | None = None
    limits: WrittenLimits
    prices: list[WrittenPrice] = Field(max_length=200)
    routes: list[WrittenRoute] = Field(max_length=50)
    aliases: list[Id] = Field(default=[], max_length=20)
    family: Annotated[str, Field(max_length=60)] = ""
    tokenizer: Annotated[str, Field(max_length=40)] = ""
    audio_at_text_rate: bool = False
    sticky: bool = True
    public: bool = False
    listing: WrittenListing = WrittenListing()

    def model(self, name: str) -> Model:
        """Return the gateway's form of the model."""
        listed = self.listing.model_dump(mode="json", exclude_none=True)
        return Model(
            id=name,
            name=self.name,
            kind=self.kind,
            format=self.format or Format.CHAT,
            limits=TokenLimits(context=self.limits.context, output=self.limits.output or 0, input=self.limits.input),
            prices=tuple(price.price(name) for price in self.prices),
            routes=tuple(
                Route(
                    upstream=route.upstream,
                    model=route.model,
                    priority=route.priority,
                    weight=route.weight,
                    formats=None if route.formats is None else tuple(route.formats),
                )
                for route in self.routes
            ),
            aliases=tuple(self.aliases),
            family=self.family,
            tokenizer=self.tokenizer,
            audio_at_text_rate=self.audio_at_text_rate,
            sticky=self.sticky,
            public=self.public,
            listing={key: msgspec.Raw(msgspec.json.encode(value)) for key, value in listed.items()},
        )


class CatalogueDocument(_Form):
    """A catalogue document."""

    provider: WrittenProvider = WrittenProvider()
    small_model: str = ""
    unpriced_tier_percent: Annotated[int, Field(ge=100, le=1000)] = UNPRICED_TIER_PERCENT
    upstreams: dict[Id, WrittenUpstream] = {}
    models: dict[Id, WrittenModel] = {}

    def catalogue(self, version: int) -> Catalogue:
        """Return the gateway's form of the catalogue. The document must have no faults (``validation``)."""
        return Catalogue(
            version=version,
            provider=self.provider.id,
            provider_name=self.provider.name,
            small_model=self.small_model,
            unpriced_tier_percent=self.unpriced_tier_percent,
            upstreams={
                name: Upstream(
                    kind=each.kind,
                    name=each.name,
                    base_url=each.base_url.rstrip("/") if each.base_url else None,
                    region=each.region,
                    timers=Timers(**each.timers.model_dump()),
                    byok=each.byok,
                    beta_flags=None if each.beta_flags is None else tuple(each.beta_flags),
                    cache_marks=each.cache_marks,
                )
                for name, each in self.upstreams.items()
            },
            models={name: each.model(name) for name, each in self.models.items()},
        )


def load(text: str) -> dict[str, Any]:
    """Read JSON. Raises :class:`InvalidCatalogue` if it is invalid, repeats a name, or is too long or too deep."""
    if len(text) > MAX_CHARACTERS:
        raise InvalidCatalogue([CatalogueFault("", f"it is longer than {MAX_CHARACTERS} characters")])
    try:
        written: Any = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except RecursionError as error:
        raise InvalidCatalogue([CatalogueFault("", "it is nested too deeply")]) from error
    except ValueError as error:
        raise InvalidCatalogue([CatalogueFault("", f"it cannot be read as JSON: {error}")]) from error
    if not isinstance(written, dict):
        raise InvalidCatalogue([CatalogueFault("", "a catalogue is a JSON object")])
    return written  # pyright: ignore[reportUnknownVariableType] - JSON


def form_of(written: Mapping[str, Any]) -> CatalogueDocument:
    """Parse a document. Raises :class:`InvalidCatalogue` with every place that does not have the right form."""
    try:
        return CatalogueDocument.model_validate_json(json.dumps(written))
    except ValidationError as error:
        raise InvalidCatalogue([_fault(detail) for detail in error.errors(include_url=False)]) from error


def with_dates(written: Mapping[str, Any], at: int) -> dict[str, Any]:
    """Return the document with ``at`` (seconds since the epoch) in place of each price's ``now``."""
    dated: dict[str, Any] = json.loads(json.dumps(written))
    for model in _objects(dated.get("models")):
        prices: Any = model.get("prices")
        for price in prices if isinstance(prices, list) else []:  # pyright: ignore[reportUnknownVariableType] - JSON
            if isinstance(price, dict) and price.get("from") == NOW:  # pyright: ignore[reportUnknownMemberType]
                price["from"] = date(at)
    return dated


def moment(text: str) -> int:
    """Parse an RFC 3339 date with an offset to seconds since the epoch; raises ValueError for anything else."""
    parsed = datetime.fromisoformat(text)
    if parsed.tzinfo is None or parsed.microsecond or parsed.year < FIRST_YEAR:
        raise ValueError("write an RFC 3339 date with an offset, in whole seconds")
    return int(parsed.timestamp())


def date(seconds: int) -> str:
    """Format a time, in seconds since the epoch, as in documents."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def written_price(price: Price) -> dict[str, Any]:
    """Format a price as in documents."""
    served = {name: _written_tiered(tier) for name, tier in price.service_tiers.items()}
    return {"from": date(price.since), **_written_tiered(price), **({"service_tiers": served} if served else {})}


def _written_tiered(price: Price | ServiceTier) -> dict[str, Any]:
    tiers = [{"above": tier.above, **_written_rates(tier.rates)} for tier in price.tiers]
    return {**_written_rates(price.rates), **({"tiers": tiers} if tiers else {})}


def _version(name: str, at: int, facts: tuple[Any, ...]) -> str:
    """Return the version of a price: its name, its first day, and a hash of all that it says."""
    day = datetime.fromtimestamp(at, UTC).date().isoformat()
    return f"{name}@{day}.{hashlib.sha256(msgspec.json.encode(facts)).hexdigest()[:10]}"


def _written_rates(rates: Rates) -> dict[str, Any]:
    return {name: money.exact(amount) for name, amount in msgspec.to_builtins(rates).items() if amount is not None}


def _optional(amount: str | None) -> int | None:
    return None if amount is None else money.parse_dollars(amount)


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"an object says {', '.join(map(repr, twice))} twice")
    return members


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")


def _objects(value: Any) -> list[dict[str, Any]]:
    values: list[Any] = list(value.values()) if isinstance(value, dict) else []  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType] - JSON
    return [member for member in values if isinstance(member, dict)]


def _fault(error: Mapping[str, Any]) -> CatalogueFault:
    path = [part for part in error["loc"] if part != "[key]"]
    match error["type"]:
        case "missing":
            message = "this is missing"
        case "extra_forbidden":
            message = "there is no such member"
        case "string_pattern_mismatch":
            message = f"{error['input']!r} is not of the form {error['ctx']['pattern']}"
        case "value_error":
            message = str(error["ctx"]["error"])
        case _:
            message = f"{error['msg'][:1].lower()}{error['msg'][1:]}"
    return CatalogueFault(pointer(path), message[:300])
