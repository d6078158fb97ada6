"""The nouns of the gateway: what came in, where it may go, what an attempt came to; and the errors of the feature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING

from opencode_cloud.catalogue.models import Format, Upstream
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.kit.errors import BadRequest, Forbidden, NotFound, ServiceError, Unavailable

if TYPE_CHECKING:
    from opencode_cloud.access.service import Request
    from opencode_cloud.gateway.formats import PathTarget, UpstreamFault


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """One request for a model, as it came."""

    format: Format
    body: bytes
    request: Request
    """Of whom it is."""
    workspace_id: WorkspaceId = WorkspaceId("")
    """Which the client named; empty: the key's own."""
    path_target: PathTarget | None = None
    """What the path says of the call, in formats that say it there."""
    session: str = ""
    """The client's session; it stays within this call."""
    client_request: str = ""
    tracing: Mapping[str, str]
    """Headers of the client's trace, which go on in the upstream's."""
    passed_on: Mapping[str, str]
    """Headers that upstreams of the same format get too."""
    metadata: Mapping[str, str]
    """Client, user agent, project: kept only where the workspace says so."""
    at: int
    """When it came, in milliseconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamTarget:
    """One upstream that may serve a call, with all that is needed to ask it."""

    id: str
    """Of the upstream in the catalogue."""
    upstream: Upstream
    model: str
    """The upstream's name of the model."""
    format: Format
    """In which it is asked."""
    base_url: str
    secret: str
    """Empty: it wants none, or (Bedrock) the gateway's own role is the credential."""
    byok: bool = False
    """Whether credential and bill are the workspace's own."""


class Failure(StrEnum):
    """Why an attempt came to nothing."""

    UNREACHABLE = "unreachable"
    """No connection, or it broke before an answer began."""
    SLOW = "slow"
    """No first byte in time."""
    BUSY = "busy"
    """429, 529, 503: it has too much to do, or we have used too much of it."""
    BROKEN = "broken"
    """Another 5xx, or an answer that is none."""
    UNKNOWN_MODEL = "unknown_model"
    """404."""
    CREDENTIAL = "credential"
    """401, 402, 403: it does not let us in."""
    INCONVERTIBLE = "inconvertible"
    """The request says something that the upstream's format has no place for; another one's may."""
    REFUSED = "refused"
    """The request itself is at fault, as every upstream would say."""


class AttemptFailed(Exception):
    """An upstream did not begin a useful answer; another one, or a later attempt, may."""

    def __init__(
        self,
        failure: Failure,
        message: str,
        *,
        status: int = 0,
        fault: UpstreamFault | None = None,
        body: bytes = b"",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.failure = failure
        self.message = message
        self.status = status
        self.fault = fault
        self.body = body
        """The upstream's own words, for clients of the same format."""
        self.retry_after = retry_after
        """Seconds."""

    @property
    def passes(self) -> bool:
        """Whether the same upstream may answer in a moment."""
        return self.failure in {Failure.BUSY, Failure.BROKEN, Failure.UNREACHABLE}


class BadGateway(ServiceError):
    """502: no upstream gave a useful answer."""

    status = HTTPStatus.BAD_GATEWAY


class Interrupted(BadGateway):
    """The answer broke off after it had begun."""

    def __init__(self, code: str, message: str, *, told: bool) -> None:
        super().__init__(code, message)
        self.told = told
        """Whether the client has been sent an error already."""


class GatewayTimeout(ServiceError):
    """504: no upstream answered in time."""

    status = HTTPStatus.GATEWAY_TIMEOUT


class UpstreamRefused(ServiceError):
    """The upstream refused the request itself; clients of its format get its own words."""

    def __init__(self, status: int, code: str, message: str, format_: Format, body: bytes) -> None:
        super().__init__(code, message)
        self.status = HTTPStatus(status)
        self.format = format_
        self.body = body


class UpstreamBusy(ServiceError):
    """429: every upstream of the model has too much to do for us."""

    status = HTTPStatus.TOO_MANY_REQUESTS


class BrokenOff(Exception):
    """An answer that had begun cannot be ended well, and its form has no place for an error: the connection is cut."""


def model_not_found(name: str, listing: str) -> NotFound:
    """There is no such model."""
    return NotFound("model_not_found", f"There is no model `{name[:200]}`. GET {listing} lists those you may use.")


def model_not_permitted(name: str, by: str) -> Forbidden:
    """Policy or key do not allow the model; ``by`` says which."""
    return Forbidden("model_not_permitted", f"The model `{name}` is not permitted by {by}. Ask an admin.")


def tool_not_permitted(name: str) -> Forbidden:
    """The policy does not allow a tool that the request offers."""
    return Forbidden(
        "tool_not_permitted",
        f"The tool `{name[:100]}` is not permitted by the workspace's policy. Turn it off, or ask an admin.",
    )


def hosted_tool(name: str) -> BadRequest:
    """A tool that the provider runs has costs of its own, which no budget could hold."""
    return BadRequest(
        "hosted_tool",
        f"The tool `{name}` runs at the provider and is billed apart from tokens: it cannot be used here.",
    )


def tier_not_priced(name: str) -> BadRequest:
    """A service tier costs something else than the catalogue says."""
    return BadRequest("tier_not_priced", f"The service tier `{name}` has no price in the catalogue: leave it out.")


def upstream_not_configured(model: str) -> Unavailable:
    """The catalogue has routes to a model, and there is no credential for any of them."""
    return Unavailable(
        "upstream_not_configured",
        f"No upstream of `{model}` has a credential. An operator sets one, or the workspace brings its own key.",
    )
