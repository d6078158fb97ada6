"""Validate a catalogue: all references must exist, and prices of the past must not change.

Validation returns all faults at once, each with its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from opencode_cloud.catalogue.document import (
    CatalogueDocument,
    WrittenModel,
    WrittenPrice,
    WrittenRates,
    WrittenTieredRates,
    WrittenUpstream,
    date,
    moment,
)
from opencode_cloud.catalogue.models import (
    EMBEDDING_FORMATS,
    FORMATS_BY_KIND,
    STANDARD_TIER,
    CatalogueFault,
    Format,
    ModelKind,
    Price,
    UpstreamKind,
)
from opencode_cloud.kit import money
from opencode_cloud.kit.json_documents import pointer

TOKENIZERS = frozenset({"cl100k_base", "o200k_base", "voyage3_base"})
"""Encodings with which the gateway can count a prompt."""
SETTLED_SECONDS = 60
"""A price that begins within these seconds counts as begun, because gateways may have read it already."""

History = Mapping[str, Sequence[Price]]
"""All published prices that have begun, by model, ordered by ``since``."""


def faults_of(document: CatalogueDocument, now: int, history: History) -> list[CatalogueFault]:
    """Return the faults that prevent publishing a document of the right form at ``now``; empty: it can be published.

    ``now`` is in seconds since the epoch. ``history`` has the prices by which calls were or may have been charged.
    """
    return list(_faults(document, now, history))


def _faults(document: CatalogueDocument, now: int, history: History) -> Iterator[CatalogueFault]:
    for name, upstream in document.upstreams.items():
        yield from _upstream(("upstreams", name), upstream)
    yield from _names(document)
    if document.small_model:
        yield from _small_model(document)
    for name, model in document.models.items():
        path = ("models", name)
        yield from _kind(path, model, document.upstreams)
        yield from _sound(path, model)
        yield from _limits(path, model)
        yield from _routes(path, model, document.upstreams)
        yield from _prices(name, model, now, history.get(name, ()))


def _small_model(document: CatalogueDocument) -> Iterator[CatalogueFault]:
    model = document.models.get(document.small_model)
    if model is None:
        yield CatalogueFault("/small_model", f"there is no model {document.small_model!r}")
    elif model.kind is ModelKind.EMBEDDING:
        yield CatalogueFault("/small_model", "an embedding model writes no titles")


def _kind(
    path: Sequence[str | int], model: WrittenModel, upstreams: Mapping[str, WrittenUpstream]
) -> Iterator[CatalogueFault]:
    """Find members that the kind of a model requires, or does not have."""
    embeds = model.kind is ModelKind.EMBEDDING
    for name, value in (("format", model.format), ("limits/output", model.limits.output)):
        if embeds and value is not None:
            yield CatalogueFault(pointer([*path, *name.split("/")]), "an embedding model has none")
        if not embeds and value is None:
            yield CatalogueFault(pointer([*path, *name.split("/")]), "this is missing")
    for place, rates in _all_rates(model):
        if not embeds and "output" not in rates.model_fields_set:
            yield CatalogueFault(pointer([*path, *place, "output"]), "this is missing")
        if embeds and money.parse_dollars(rates.output):
            yield CatalogueFault(pointer([*path, *place, "output"]), "only the input of an embedding model has a price")
    for index, route in enumerate(model.routes if embeds else ()):
        upstream = upstreams.get(route.upstream)
        if upstream and upstream.kind not in EMBEDDING_FORMATS:
            here = pointer([*path, "routes", index, "upstream"])
            yield CatalogueFault(here, f"upstreams of kind {upstream.kind} have no embeddings")


def _all_rates(model: WrittenModel) -> Iterator[tuple[tuple[str | int, ...], WrittenRates]]:
    """Yield all rates of a model, each with its place below the model."""
    for index, price in enumerate(model.prices):
        yield from _rates_of(price, ("prices", index))


def _rates_of(
    price: WrittenPrice, place: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], WrittenRates]]:
    """Yield the rates of a price, each with its place."""
    tables: list[tuple[tuple[str | int, ...], WrittenTieredRates]] = [(place, price)]
    tables += [((*place, "service_tiers", name), served) for name, served in price.service_tiers.items()]
    for here, table in tables:
        yield here, table
        yield from (((*here, "tiers", number), tier) for number, tier in enumerate(table.tiers))


def _sound(path: Sequence[str | int], model: WrittenModel) -> Iterator[CatalogueFault]:
    """Find rates of sound that contradict other members. All rates of a price must agree on the sound that is sold."""
    for index, price in enumerate(model.prices):
        for place, rates in _rates_of(price, (*path, "prices", index)):
            if rates.input_audio is not None and model.audio_at_text_rate:
                yield CatalogueFault(pointer([*place, "input_audio"]), "`audio_at_text_rate` says that it is as text")
            if rates.cache_read_audio is not None and rates.input_audio is None:
                yield CatalogueFault(pointer([*place, "cache_read_audio"]), "it needs `input_audio`")
            for name in ("input_audio", "output_audio"):
                here, whole = getattr(rates, name), getattr(price, name)
                if model.kind is ModelKind.EMBEDDING and here is not None:
                    yield CatalogueFault(pointer([*place, name]), "an embedding model reads text only")
                elif (here is None) is not (whole is None):
                    yield CatalogueFault(pointer([*place, name]), "all rates of a price have it, or none has")


def _upstream(path: Sequence[str], upstream: WrittenUpstream) -> Iterator[CatalogueFault]:
    if upstream.kind is UpstreamKind.OPENAI_COMPATIBLE and not upstream.base_url:
        yield CatalogueFault(pointer([*path, "base_url"]), "an upstream of this kind has no default URL")
    if upstream.base_url and any(mark in upstream.base_url for mark in "?#@"):
        yield CatalogueFault(
            pointer([*path, "base_url"]), "it must be host and path only, without user, query or fragment"
        )
    if upstream.region and upstream.kind is not UpstreamKind.BEDROCK:
        yield CatalogueFault(pointer([*path, "region"]), "only Bedrock has regions")
    if upstream.beta_flags is not None and Format.MESSAGES not in FORMATS_BY_KIND[upstream.kind]:
        yield CatalogueFault(pointer([*path, "beta_flags"]), "only upstreams of Messages have flags")
    timers = upstream.timers
    if max(timers.connect, timers.first_byte) > timers.total:
        yield CatalogueFault(pointer([*path, "timers", "total"]), "it is shorter than one of its parts")


def _names(document: CatalogueDocument) -> Iterator[CatalogueFault]:
    """Find names that refer to two models, also when compared without case."""
    owners = {name.casefold(): name for name in reversed(document.models)}
    for name in document.models:
        if owners[name.casefold()] != name:
            yield CatalogueFault(pointer(["models", name]), f"but for case it is the id {owners[name.casefold()]!r}")
    for name, model in document.models.items():
        for index, alias in enumerate(model.aliases):
            path = pointer(["models", name, "aliases", index])
            owner = owners.setdefault(alias.casefold(), name)
            if alias in document.models:
                yield CatalogueFault(path, "there is a model with this id")
            elif owner != name or alias in model.aliases[:index]:
                yield CatalogueFault(path, f"it is the id or an alias of {owner!r} already")


def _limits(path: Sequence[str], model: WrittenModel) -> Iterator[CatalogueFault]:
    for name in ("output", "input"):
        if (getattr(model.limits, name) or 0) > model.limits.context:
            yield CatalogueFault(pointer([*path, "limits", name]), "it is more than the context")
    if model.tokenizer and model.tokenizer not in TOKENIZERS:
        tokenizers = ", ".join(sorted(TOKENIZERS))
        yield CatalogueFault(
            pointer([*path, "tokenizer"]), f"there is no tokenizer {model.tokenizer!r}, but: {tokenizers}"
        )


def _routes(
    path: Sequence[str], model: WrittenModel, upstreams: Mapping[str, WrittenUpstream]
) -> Iterator[CatalogueFault]:
    if not any(route.weight for route in model.routes):
        yield CatalogueFault(pointer([*path, "routes"]), "no route has a weight, so no call could take one")
    taken: set[tuple[str, str]] = set()
    for index, route in enumerate(model.routes):
        here: list[str | int] = [*path, "routes", index]
        upstream = upstreams.get(route.upstream)
        if upstream is None:
            yield CatalogueFault(pointer([*here, "upstream"]), f"there is no upstream {route.upstream!r}")
        if (route.upstream, route.model) in taken:
            yield CatalogueFault(pointer(here), "an earlier route is the same")
        taken.add((route.upstream, route.model))
        for number, form in enumerate(route.formats or () if upstream else ()):
            spoken = FORMATS_BY_KIND[upstream.kind] if upstream else ()
            if form not in spoken:
                kind = upstream.kind if upstream else ""
                yield CatalogueFault(
                    pointer([*here, "formats", number]), f"upstreams of kind {kind} speak {', '.join(spoken)}"
                )


def _prices(name: str, model: WrittenModel, now: int, begun: Sequence[Price]) -> Iterator[CatalogueFault]:
    path = ("models", name, "prices")
    if not model.prices:
        yield CatalogueFault(pointer(path), "it has no price")
        return
    dated = [(index, price, _date(price)) for index, price in enumerate(model.prices)]
    for index, price, at in dated:
        if at is None:
            yield CatalogueFault(pointer([*path, index, "from"]), "a date is written like 2026-01-31T00:00:00Z")
        yield from _tiers((*path, index), price)
        yield from _service_tiers((*path, index, "service_tiers"), price)
    if any(at is None for _, _, at in dated):
        return
    moments = [at or 0 for _, _, at in dated]
    for index, (before, after) in enumerate(pairwise(moments), 1):
        if after <= before:
            yield CatalogueFault(pointer([*path, index, "from"]), "it begins no later than the price before it")
    if moments[0] > now:
        yield CatalogueFault(
            pointer([*path, 0, "from"]), "no price is in force yet: the first one begins in the future"
        )
    if begun:
        yield from _past(name, model, now, begun)


def _past(name: str, model: WrittenModel, now: int, begun: Sequence[Price]) -> Iterator[CatalogueFault]:
    """Find changes of prices that have begun, because calls were charged by them."""
    path = ("models", name, "prices")
    begun_prices = {price.since: price for price in begun}
    for index, written in enumerate(model.prices):
        price = written.price(name)
        earlier = begun_prices.pop(price.since, None)
        if earlier is None and price.since < now:
            message = "it begins in the past, for which there is a price: let it begin now or later"
            yield CatalogueFault(pointer([*path, index, "from"]), message)
        elif earlier is not None and earlier.version != price.version:
            yield CatalogueFault(
                pointer([*path, index]), "this price has begun and cannot change: add one that begins later"
            )
    for since in sorted(begun_prices):
        yield CatalogueFault(pointer(path), f"the price from {date(since)} has begun and cannot be taken away")


def _service_tiers(path: Sequence[str | int], price: WrittenPrice) -> Iterator[CatalogueFault]:
    for name, served in price.service_tiers.items():
        if name == STANDARD_TIER:
            yield CatalogueFault(pointer([*path, name]), "the rates of the price itself are those of the standard tier")
        yield from _tiers((*path, name), served)


def _tiers(path: Sequence[str | int], price: WrittenTieredRates) -> Iterator[CatalogueFault]:
    for index, (before, after) in enumerate(pairwise(price.tiers), 1):
        if after.above <= before.above:
            yield CatalogueFault(pointer([*path, "tiers", index, "above"]), "it is no more than in the tier before it")


def _date(price: WrittenPrice) -> int | None:
    try:
        return moment(price.since)
    except (ValueError, OverflowError):
        return None
