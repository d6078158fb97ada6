"""`/api/v1/workspaces/{workspace_id}/models`: the permitted models, their prices, and the gateway's address."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.openapi.params import Path
from pydantic import BaseModel, Field

from opencode_cloud.catalogue import links, listing
from opencode_cloud.catalogue.document import date
from opencode_cloud.catalogue.models import Format, Model, ModelKind, Rates, Tier
from opencode_cloud.contracts.access import workspace_not_found
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.gate import WORKSPACE, Gate
from opencode_cloud.kit import http_events, money
from opencode_cloud.kit.api_responses import document
from opencode_cloud.kit.clock import now_seconds

if TYPE_CHECKING:
    from opencode_cloud.access.service import Access
    from opencode_cloud.catalogue.service.caching import CatalogueCache

TAG = "Models"
Amount = Annotated[str, Field(description="Dollars per million tokens.")]


class ModelRates(BaseModel):
    """Rates by kind of token. Null: the same as `input`, but for sound, which has then no rate of its own."""

    input: Amount
    output: Amount
    cache_read: Amount | None
    cache_write: Amount | None
    cache_write_1h: Amount | None
    input_audio: Amount | None
    cache_read_audio: Amount | None
    output_audio: Amount | None


class ModelTier(ModelRates):
    """Rates of calls with long prompts."""

    above: int = Field(description="These rates apply to the whole call if its prompt has more tokens than this.")


class ServiceTierPrice(ModelRates):
    """The rates of a service tier."""

    version: str = Field(description="The version of the rates, as in usage events.")
    tiers: list[ModelTier]


class ModelPrice(ModelRates):
    """The current price."""

    version: str = Field(description="The price's version, as in usage events.")
    since: str
    tiers: list[ModelTier]
    service_tiers: dict[str, ServiceTierPrice] = Field(description="Rates of other service tiers, by name.")


class ModelLimits(BaseModel):
    """Limits in tokens."""

    context: int
    input: int | None
    output: int


class UsableModel(BaseModel):
    """A permitted model."""

    id: str
    name: str
    kind: ModelKind = Field(description="`embedding`: it turns texts into vectors, and generates nothing.")
    family: str
    aliases: list[str]
    formats: list[Format] = Field(
        description="The formats in which it can be called, its own first. Empty for an embedding model."
    )
    limits: ModelLimits
    price: ModelPrice


class Models(BaseModel):
    """The permitted models, and the gateway's address."""

    version: int = Field(description="The version of the catalogue; 0: none was published yet.")
    provider: str = Field(description="Policies and keys name the models `provider/id`.")
    base_url: str = Field(description="The gateway's address.")
    models_url: str = Field(description="Clients' `OPENCODE_MODELS_URL`. Anyone with this address can list the models.")
    data: list[UsableModel]


class ModelRoutes:
    """The route that lists the models that the workspace's policy, the groups and the key's patterns permit."""

    def __init__(
        self, catalogue: CatalogueCache, access: Access, deployment_key: Callable[[], str], public_url: str
    ) -> None:
        self._catalogue = catalogue
        self._access = access
        self._deployment_key = deployment_key
        self._public_url = public_url

    def mount(self, app: APIGatewayHttpResolver) -> None:
        """Add every route to ``app``."""
        self._gate = Gate(app, self._access)
        self._gate.add(f"GET {WORKSPACE}/models", self.list, Permission.REMOTE_CONFIG, "List the models", TAG)

    def list(self, workspace_id: Annotated[WorkspaceId, Path(description="Id of the workspace.")]) -> Response[Models]:
        """List the models that the workspace's policy, your groups and your key's patterns permit, with prices."""
        workspace = self._access.workspace(workspace_id)
        if workspace is None:
            raise workspace_not_found()
        catalogue, permits = self._catalogue.current(), listing.bounded(workspace, self._gate.actor)
        base_url, now = http_events.base_url(self._gate.event, self._public_url), now_seconds()
        models = Models(
            version=catalogue.version,
            provider=catalogue.provider,
            base_url=base_url + listing.GATEWAY,
            models_url=links.models_url(base_url, self._deployment_key(), workspace_id),
            data=[_shown(model, now) for model in listing.permitted(catalogue, permits)],
        )
        return document(models)


def _shown(model: Model, at: int) -> UsableModel:
    price = model.price(at)
    return UsableModel(
        id=model.id,
        name=model.name,
        kind=model.kind,
        family=model.family,
        aliases=list(model.aliases),
        formats=_formats(model),
        limits=ModelLimits(context=model.limits.context, input=model.limits.input, output=model.limits.output),
        price=ModelPrice(
            version=price.version,
            since=date(price.since),
            tiers=_tiers(price.tiers),
            service_tiers={
                name: ServiceTierPrice(version=served.version, tiers=_tiers(served.tiers), **_rates(served.rates))
                for name, served in price.service_tiers.items()
            },
            **_rates(price.rates),
        ),
    )


def _formats(model: Model) -> list[Format]:
    if model.kind is ModelKind.EMBEDDING:
        return []
    return [model.format, *(format_ for format_ in Format if format_ is not model.format)]


def _tiers(tiers: Sequence[Tier]) -> list[ModelTier]:
    return [ModelTier(above=tier.above, **_rates(tier.rates)) for tier in tiers]


def _rates(rates: Rates) -> dict[str, Any]:
    amounts = {name: getattr(rates, name) for name in ModelRates.model_fields}
    return {name: None if amount is None else money.exact(amount) for name, amount in amounts.items()}
