"""The interface of a wire format. Each format creates its object in its folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from opencode_cloud.catalogue.models import Format
from opencode_cloud.contracts.tools import ToolName
from opencode_cloud.contracts.usage import Tokens
from opencode_cloud.gateway.formats.facts import RequestFacts
from opencode_cloud.gateway.formats.limits import TargetLimits
from opencode_cloud.gateway.formats.members import MemberRules
from opencode_cloud.gateway.formats.metering import StreamMeter
from opencode_cloud.gateway.formats.models import (
    ModelReply,
    ModelRequest,
    ParsedRequest,
    PathTarget,
    UpstreamFault,
    WireError,
)
from opencode_cloud.gateway.formats.reading import Node
from opencode_cloud.gateway.formats.streaming import StreamReader, StreamWriter


class WireFormat(msgspec.Struct, frozen=True, kw_only=True):
    """One wire format of model calls.

    No member has a default, so the type checker names every member that a new format omits. All functions are pure.
    Functions that read raise :class:`Malformed` for a document that is not of the format.
    """

    name: Format

    # --- HTTP

    client_paths: tuple[str, ...]
    """Paths of the gateway at which clients call models in this format, as Starlette writes routes."""
    read_path: Callable[[str], PathTarget] | None
    """Reads model and streaming from the path parameter ``call``; raises :class:`NotFound` for a path that is no call.

    None: ``model`` and ``stream`` are members of the body.
    """
    upstream_path: Callable[[str, bool], str]
    """Returns the path below an upstream's base URL, for the upstream's model name and whether it is to stream."""

    count_paths: tuple[str, ...]
    """Paths at which clients count the tokens of a prompt. ``model`` in a path names the model."""
    count_request: Callable[[Node], Node]
    """Returns the model request within a request to count."""
    write_count: Callable[[int], dict[str, Any]]
    """Writes the answer to a request to count: the tokens of the prompt."""

    # --- Requests

    node: type[Node]
    """Reads the members of a document by the naming rules of the format."""
    prompt_member: str
    """The member that holds the conversation; it must not be empty."""
    inspect: Callable[[Node, RequestFacts], None]
    """Collects the facts of a request on which the gateway decides."""
    output_limit: Callable[[Node], int | None]
    """Returns the limit in tokens that a request sets for each answer; None: it sets none."""
    answer_count: Callable[[Node], int]
    """Returns the number of requested answers; at least 1."""
    wants_usage: Callable[[Node], bool]
    """Tells whether the client expects usage at the end of a stream."""
    tool_names: Callable[[Mapping[str, Any]], Iterator[ToolName]]
    """Yields the names of the tools that a body offers to the model. Policies are enforced on these names."""
    settings: frozenset[str]
    """Members of a body that are not part of the prompt. All others count towards its size."""
    verbatim: frozenset[str]
    """Members that the model sees as JSON, names included."""
    image_tokens: int
    """The most tokens that one picture can use (docs/formats.md, "How large a prompt can be")."""
    is_refused: Callable[[ParsedRequest, str], bool]
    """Tells whether the vendor refuses a request for an upstream's model in this format, and takes it in another."""
    overrides: Callable[[ParsedRequest, str], dict[str, Any]]
    """Returns the members to replace in a body that goes to an upstream of the same format; None removes a member.

    The second argument is the name that tells the model. The upstream's own replaces it in the member ``model``. An
    empty result: the body is sent as it is.
    """
    without_thoughts: Callable[[Mapping[str, Any], str], dict[str, Any]]
    """Returns the members to replace in such a body if the upstream cannot verify the thoughts in it; empty: none.

    The second argument is the name that tells the model.
    """
    members: MemberRules
    """The treatment of each member of a client's request on the way to another format."""
    limits: TargetLimits
    """Values that upstreams of the format refuse. Conversions to it keep them."""
    requires_output_limit: bool
    """True if upstreams refuse a request that sets no limit for the answer."""
    read_request: Callable[[Node], ModelRequest]
    """Reads a request; also raises :class:`Malformed` for members that no other format can express."""
    write_request: Callable[[ModelRequest, str], dict[str, Any]]
    """Writes a request; raises :class:`Malformed` for parts that the format cannot express.

    The second argument is the name that tells the model. The upstream's own replaces it in the member ``model``.
    """

    # --- Answers

    answer_member: str
    """The member that every answer has."""
    is_answer: Callable[[Node], bool]
    """Tells whether a document of status 200 without an error has an answer, also an empty one."""
    usage_member: str
    """The member of an answer that holds usage."""
    error_in: Callable[[Node], UpstreamFault | None]
    """Returns the error that an upstream sent with status 200 in place of an answer; None: it is an answer."""
    read_usage: Callable[[object], Tokens | None]
    """Reads a usage object leniently; None: it has no counts."""
    write_usage: Callable[[Tokens], dict[str, Any]]
    served_tier: Callable[[Node], str]
    """Returns the service tier that served an answer, as ``service_tiers.tier_name`` names it; empty: unknown."""
    read_answer: Callable[[Node], ModelReply]
    write_answer: Callable[[ModelReply, ParsedRequest], dict[str, Any]]
    reader: Callable[[], StreamReader]
    """Returns a reader of an upstream's stream."""
    writer: Callable[[ParsedRequest], StreamWriter]
    """Returns a writer of a stream for the client that sent the request."""
    meter: Callable[[], StreamMeter]
    """Returns a meter for a stream that passes through unchanged."""

    # --- Errors

    is_error: Callable[[Mapping[str, Any]], bool]
    """Tells whether an upstream's body is an error as clients of the format read it.

    The gateway writes any other itself.
    """
    error_body: Callable[[WireError], bytes]
    """Writes the body of an HTTP error."""
    error_event: Callable[[WireError, int], bytes]
    """Writes an error within a stream. The second argument is the event's number, in formats that number events."""
    heartbeat: bytes
    """Bytes between two events that every client of the format ignores."""
