"""Types of the gateway: the incoming call, an upstream that may serve it, a failed attempt; and the errors."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from opencode_cloud.catalogue.models import Format, Upstream
from opencode_cloud.contracts.ids import CredentialId, WorkspaceId
from opencode_cloud.kit.errors import BadRequest, Forbidden, NotFound, PaymentRequired, ServiceError, Unavailable

if TYPE_CHECKING:
    from opencode_cloud.access.service import AccessRequest
    from opencode_cloud.gateway.formats import EmbeddingMethod, PathTarget, UpstreamFault
    from opencode_cloud.gateway.tracing import SpanContext


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """One request for a model, as the client sent it."""

    format: Format
    body: bytes
    request: AccessRequest
    """The sender: credential, address and correlation id."""
    workspace_id: WorkspaceId = WorkspaceId("")
    """The workspace that the client named; empty: the key's own."""
    path_target: PathTarget | None = None
    """Model and streaming, in formats that name them in the path; None: they are in the body."""
    embedding: EmbeddingMethod | None = None
    """The address of embeddings that the client called; None: a model is to generate."""
    session: str = ""
    """The client's session id. Admission bounds it. It is never stored: usage keeps a pseudonym."""
    client_request: str = ""
    opencode: bool = False
    """True if the client is opencode, which searches errors for digits of temporary failures."""
    agent: str = ""
    """The name of the client's program (:func:`attribution.agent_of`)."""
    project_headers: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])
    """The headers that may name a project. The workspace chooses among them."""
    tracing: Mapping[str, str]
    """Trace headers, sent on to every upstream: the client's, or ours where spans are exported."""
    span: SpanContext | None = None
    """The call's place in a trace; None where spans are not exported, or the client wants none."""
    passed_on: Mapping[str, str]
    """Vendor headers of the client, sent on to upstreams of the same format only."""
    metadata: Mapping[str, str]
    """Client, user agent, address. Stored only if the workspace keeps metadata."""
    at: int
    """Time of arrival, in milliseconds since the epoch."""


PLATFORM = "platform"
"""The owner of a circuit over the platform's own credential."""


class Circuit(NamedTuple):
    """The unit that rests after failures. A workspace's own credential may lead to another server than the platform's.

    So the failures of one workspace's server never count for another workspace.
    """

    owner: str
    """``platform``, or the id of a workspace's credential."""
    upstream: str
    model: str
    """The upstream's name for the model."""


class UpstreamTarget(msgspec.Struct, frozen=True, kw_only=True):
    """One upstream that may serve a call, with everything that a request to it needs."""

    id: str
    """The upstream's id in the catalogue."""
    upstream: Upstream
    model: str
    """The upstream's name for the model."""
    format: Format
    """The format of requests to it."""
    base_url: str
    secret: str
    """The key to send. Empty: the server needs none, or (Bedrock) the gateway's role signs the request."""
    path: str = ""
    """The path below ``base_url`` for embeddings; empty: the format's own for model calls."""
    credential_id: CredentialId | None = None
    """The workspace's own credential; None for the platform's."""

    @property
    def byok(self) -> bool:
        """True if the credential is the workspace's own; then the workspace pays the provider directly."""
        return self.credential_id is not None

    @property
    def circuit(self) -> Circuit:
        """The circuit that failures of this target count for."""
        return Circuit(self.credential_id or PLATFORM, self.id, self.model)


class Failure(StrEnum):
    """The reason for which an attempt failed."""

    UNREACHABLE = "unreachable"
    """No connection, or the connection broke before an answer began."""
    SLOW = "slow"
    """No first byte in time."""
    BUSY = "busy"
    """408, 429, 503, 529: overloaded, or our quota there is used up."""
    BROKEN = "broken"
    """Any other 5xx, or a body that is not in the upstream's format."""
    UNKNOWN_MODEL = "unknown_model"
    """404."""
    CREDENTIAL = "credential"
    """The upstream refuses our credential."""
    ACCOUNT = "account"
    """The upstream refuses the account behind the credential: money, quota for good, plan or region."""
    UNKNOWN_FLAG = "unknown_flag"
    """The upstream does not know a flag of the client, or a member behind it. Another upstream may."""
    FOREIGN_THOUGHT = "foreign_thought"
    """The prompt has a thought that another account or vendor signed. The upstream that made it can verify it."""
    CONTEXT = "context"
    """The prompt is longer than the model's context at this upstream."""
    INCONVERTIBLE = "inconvertible"
    """The upstream's format cannot express the request. Another upstream's format may."""
    REFUSED = "refused"
    """The request itself is invalid, so no other upstream is asked."""


class AttemptFailed(Exception):
    """An upstream did not begin a useful answer. Another upstream, or a later attempt, may."""

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
        """The upstream's error body, for clients of the same format."""
        self.retry_after = retry_after
        """Seconds that the upstream asks to wait."""

    @property
    def passes(self) -> bool:
        """True if the same upstream may answer on a later attempt."""
        return self.failure in {Failure.BUSY, Failure.BROKEN, Failure.UNREACHABLE}


class BadGateway(ServiceError):
    """502: no upstream gave a useful answer."""

    status = HTTPStatus.BAD_GATEWAY


LOCKED_OUT = frozenset({Failure.CREDENTIAL, Failure.ACCOUNT})
"""Failures of a credential or its account. An operator or admin must act; the request is right."""


class Interrupted(BadGateway):
    """The answer broke off after it had begun."""

    def __init__(self, code: str, message: str, status: int) -> None:
        """``status`` is the one that the upstream's error would have had."""
        super().__init__(code, message)
        self.status = HTTPStatus(status)


class GatewayTimeout(ServiceError):
    """504: no upstream answered in time."""

    status = HTTPStatus.GATEWAY_TIMEOUT


class UpstreamRefused(ServiceError):
    """The upstream refused the request itself. Clients of the upstream's format get its body unchanged."""

    def __init__(self, status: int, code: str, message: str, format_: Format, body: bytes) -> None:
        super().__init__(code, message)
        self.status = HTTPStatus(status)
        self.format = format_
        self.body = body


class UpstreamBusy(ServiceError):
    """429: every upstream of the model limits our rate."""

    status = HTTPStatus.TOO_MANY_REQUESTS


class BrokenOff(Exception):
    """The answer cannot be completed, and its format has no place for an error: the connection is cut."""


def model_not_found(name: str, listing: str) -> NotFound:
    """There is no such model."""
    return NotFound("model_not_found", f"There is no model `{name[:200]}`. GET {listing} lists those you may use.")


def model_not_permitted(name: str, by: str) -> Forbidden:
    """The policy, the key or a group does not allow the model; ``by`` names which of them."""
    return Forbidden("model_not_permitted", f"The model `{name}` is not permitted by {by}. Ask an admin.")


def wrong_model_kind(model: str, *, embeds: bool) -> BadRequest:
    """The model does other work than the address is for."""
    does, call = ("embeddings", "`embeddings`") if embeds else ("answers", "`chat/completions`")
    return BadRequest("wrong_model_kind", f"The model `{model}` makes {does} only. Call {call}, or another model.")


def tool_not_permitted(name: str) -> Forbidden:
    """The policy does not allow a tool that the request offers."""
    return Forbidden(
        "tool_not_permitted",
        f"The tool `{name[:100]}` is not permitted by the workspace's policy. Turn it off, or ask an admin.",
    )


def hosted_tool(name: str) -> BadRequest:
    """The provider runs and bills the tool itself, so no budget can include its cost."""
    return BadRequest(
        "hosted_tool",
        f"The tool `{name}` runs at the provider, which bills it apart from tokens: it cannot be used. Turn it off.",
    )


def stored_reference(name: str) -> BadRequest:
    """The request names contents that a provider stores. All workspaces share the platform's key, so none are used."""
    return BadRequest(
        "stored_reference",
        f"`{name}` names contents that the provider stores, and the gateway stores nothing there. "
        "Send the whole conversation in the request.",
    )


def tier_not_priced(name: str) -> BadRequest:
    """The catalogue has no price for the service tier."""
    return BadRequest("tier_not_priced", f"The service tier `{name}` has no price in the catalogue: leave it out.")


def audio_not_priced(model: str, part: str) -> BadRequest:
    """The catalogue has no price for audio in the model's prompts or answers. Most vendors sell it above text."""
    return BadRequest("audio_not_priced", f"Audio ({part}) has no price for the model `{model}`: leave it out.")


def balance_required() -> PaymentRequired:
    """The deployment is prepaid, and the workspace has no balance."""
    return PaymentRequired("balance_required", "The workspace has no prepaid balance. Add credit to it first.")


def upstream_not_configured(model: str) -> Unavailable:
    """The catalogue has routes to the model, but no credential for any of them."""
    return Unavailable(
        "upstream_not_configured",
        f"No upstream of `{model}` has a credential. An operator sets one, or the workspace brings its own key.",
    )
