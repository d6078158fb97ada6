"""A model call in no particular wire format: the neutral form through which all conversions go.

A request is read into :class:`ModelRequest`, an answer into :class:`ModelReply`, a stream into events. Each format has
a reader and a writer, so that twelve conversions need four of each. A writer refuses by name what its format cannot
express.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeAlias

import msgspec

from opencode_cloud.catalogue.models import Format
from opencode_cloud.contracts.usage import Tokens
from opencode_cloud.kit.errors import BadRequest


class InvalidRequest(BadRequest):
    """400 ``invalid_request``: the body is not in its format, or cannot be converted; the message says why."""

    def __init__(self, message: str) -> None:
        super().__init__("invalid_request", message)


class UpstreamGarbage(Exception):
    """The upstream sent data that is not in its format, or an error in place of an answer."""

    def __init__(self, message: str, fault: UpstreamFault | None = None) -> None:
        super().__init__(message)
        self.fault = fault
        """The error in place of an answer."""


class Malformed(Exception):
    """A document has a value of the wrong form at ``path``. The caller knows whose document it is."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} {reason}" if path else f"The body {reason}")


class UpstreamFault(msgspec.Struct, frozen=True, kw_only=True):
    """An error that an upstream reported."""

    status: int
    """The HTTP status. For an error within a stream it is the status that an answer would have had."""
    code: str = ""
    type: str = ""
    reason: str = ""
    """Google's reason in the details of its error."""
    message: str = ""
    """The upstream's message, of at most 500 characters."""
    retry_after: float | None = None
    """Seconds that the error asks to wait; None: it does not say."""


class WireError(msgspec.Struct, frozen=True, kw_only=True):
    """An error of the gateway, before a format writes it for its clients."""

    status: int
    """The HTTP status. Within a stream, the status that the error would have had."""
    code: str
    message: str
    details: Mapping[str, Any]
    """Further members of the error object. They never replace its type, code or message."""


class PathTarget(msgspec.Struct, frozen=True):
    """Model and streaming, in formats that name them in the path."""

    model: str
    stream: bool


class EmbeddingMethod(StrEnum):
    """An address at which clients ask for embeddings."""

    LIST = "embeddings"
    """OpenAI's: a text, a list of texts, or tokens."""
    SINGLE = "embedContent"
    """Google's, for one content."""
    BATCH = "batchEmbedContents"
    """Google's, for several contents."""


class EmbeddingRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request for the vectors of inputs."""

    method: EmbeddingMethod
    inputs: int
    """The number of inputs. The model's limit of tokens applies to each."""
    texts: tuple[str, ...] = ()
    """The text of each input; empty if the inputs are tokens."""
    tokens: int = 0
    """The number of tokens, if the client sent numbers."""
    dimensions: int | None = None
    base64: bool = False
    """True if the client wants each vector as 32-bit floats in Base64, little-endian."""
    dropped: tuple[str, ...] = ()
    """Hints that no other format can express."""
    only_here: str = ""
    """The part that no other format can express; empty: none."""


class ParsedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request as its client sent it, with the facts on which the gateway decides."""

    format: Format
    body: bytes
    model: str
    stream: bool = False
    max_output: int | None = None
    """Limit in tokens, for each answer."""
    answers: int = 1
    """Number of answers generated for this prompt."""
    images: int = 0
    documents: int = 0
    """Files, audio and video within the body."""
    audio: str = ""
    """The first part of the prompt that is audio; empty: there is none."""
    hears: bool = False
    """True if a part of the prompt can have sound: audio, video, or contents that are not in the body."""
    speaks: str = ""
    """The member by which the client wants sound in the answer; empty: it wants none."""
    unbounded: str = ""
    """The part that makes the prompt's size unknowable from the body; empty: the size is known."""
    hosted_tools: tuple[str, ...] = ()
    """Tools and outputs on which the client insists, and that the provider bills apart from text."""
    dropped: tuple[str, ...] = ()
    """Offered tools of the provider, which no upstream gets."""
    changes: dict[str, Any] = {}
    """Members of the body that change because of them, as in :attr:`document`; None removes a member."""
    compacts: bool = False
    """True if the provider may sample twice: it compacts the conversation, then answers."""
    stored: str = ""
    """The part that names contents that a provider stores; empty: none."""
    tier: str = ""
    """The service tier that the client asks for; empty: it leaves the choice to the upstream."""
    embedding: EmbeddingRequest | None = None
    """The request, if it is for embeddings; None: a model is to generate."""
    usage_wanted: bool = True
    """True if the client expects usage at the end of a stream."""
    document: dict[str, Any] = {}
    """The decoded body, without the tools that are left out."""


class WholeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer in the client's format."""

    body: bytes
    tokens: Tokens | None
    """None: the upstream did not say."""
    generated: int
    """UTF-8 bytes of generated text, arguments and reasoning."""
    tier: str = ""
    """The service tier that served; empty: the upstream did not say."""


class TextBlock(msgspec.Struct, frozen=True):
    """Text, in a prompt or an answer."""

    text: str
    cache: str = ""
    """``5m`` or ``1h``: cache the prompt up to here. Only Messages has such marks."""


class ImageBlock(msgspec.Struct, frozen=True, kw_only=True):
    """A picture: either ``data`` (base64) with its media type, or a ``url``."""

    media_type: str = ""
    data: str = ""
    url: str = ""
    detail: str = ""
    cache: str = ""


class FileBlock(msgspec.Struct, frozen=True, kw_only=True):
    """A file, also audio and video: either ``data`` (base64) with its media type, or a ``url``."""

    media_type: str = ""
    data: str = ""
    url: str = ""
    name: str = ""
    cache: str = ""


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a tool by the model; ``arguments`` is JSON text."""

    id: str
    name: str
    arguments: str = ""
    cache: str = ""


class ToolResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of the tool call ``id``."""

    id: str
    name: str = ""
    content: tuple[TextBlock | ImageBlock | FileBlock, ...] = ()
    error: bool = False
    cache: str = ""


class ReasoningBlock(msgspec.Struct, frozen=True, kw_only=True):
    """Reasoning of the model. Upstreams accept back only reasoning that they signed."""

    text: str = ""
    origin: str = ""
    """The format of the upstream that generated it; empty: unknown."""
    signature: str = ""
    """Opaque: a signature, encrypted content, or a thought signature, by ``origin``."""
    redacted: bool = False
    """True if there is only ``signature``, without text."""
    id: str = ""


Block: TypeAlias = TextBlock | ImageBlock | FileBlock | ToolCall | ToolResult | ReasoningBlock


class Turn(msgspec.Struct, frozen=True):
    """A turn: of the ``user`` (tools' results too), the ``assistant`` or the ``system``."""

    role: str
    blocks: tuple[Block, ...]


class ToolDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """A function that the client can run. ``schema`` is JSON Schema; None means that it has no arguments."""

    name: str
    description: str = ""
    schema: dict[str, Any] | None = None
    strict: bool | None = None
    cache: str = ""


class Choice(StrEnum):
    """The rule for tool calls: allowed, required or forbidden."""

    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"
    NAMED = "named"


class ToolChoice(msgspec.Struct, frozen=True):
    """A choice, with the tools' names if the model must call one of them."""

    choice: Choice
    names: tuple[str, ...] = ()


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """The answer must be JSON. ``schema`` None: any JSON."""

    schema: dict[str, Any] | None = None
    name: str = ""
    strict: bool | None = None


class Thinking(msgspec.Struct, frozen=True, kw_only=True):
    """The amount of thinking that the client requests."""

    effort: str = ""
    """``none``, ``minimal``, ``low``, ``medium``, ``high``, ``xhigh`` or ``max``; empty: the model's own."""
    budget: int | None = None
    """Budget in tokens, if the client set one."""
    shown: bool = False
    """True if the client wants to see the reasoning, or a summary of it."""


class ModelRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A whole request. Members that are None or empty were not given."""

    messages: tuple[Turn, ...]
    system: tuple[TextBlock, ...] = ()
    tools: tuple[ToolDefinition, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel: bool | None = None
    max_output: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    shape: Shape | None = None
    thinking: Thinking | None = None
    verbosity: str = ""
    user: str = ""
    cache_key: str = ""
    stream: bool = False
    dropped: tuple[str, ...] = ()
    """Parts that no other format can express, and on which the client does not insist."""


class Emulation(msgspec.Struct, frozen=True, kw_only=True):
    """The work that remains for the gateway in an answer, because the upstream's format cannot express it."""

    names: dict[str, str] = {}
    """The client's names of tools, by the names that the upstream was sent."""
    stops: tuple[str, ...] = ()
    """Stop sequences that end the answer."""
    one_call: bool = False
    """True if only the first tool call is passed on."""


class ForwardedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request as an upstream gets it."""

    body: bytes
    dropped: tuple[str, ...] = ()
    """Hints of the client that the upstream does not get, by their names in the client's format."""
    emulation: Emulation = Emulation()


class Stop(StrEnum):
    """The reason for which an answer ended."""

    END = "end"
    LENGTH = "length"
    TOOLS = "tools"
    SEQUENCE = "sequence"
    REFUSAL = "refusal"
    """The model or a filter refused, or the upstream gave up. The text generated so far stays."""


class ModelReply(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer."""

    blocks: tuple[TextBlock | ToolCall | ReasoningBlock, ...]
    stop: Stop
    stop_sequence: str = ""
    tokens: Tokens | None = None


class Opened(msgspec.Struct, frozen=True):
    """Event: a block begins. A tool call has its id and name; its arguments follow as deltas."""

    index: int
    block: TextBlock | ToolCall | ReasoningBlock


class Grown(msgspec.Struct, frozen=True):
    """Event: a block has more text, arguments or thoughts."""

    index: int
    text: str


class Signed(msgspec.Struct, frozen=True):
    """Event: a block of reasoning has its opaque part. Its text was streamed before."""

    index: int
    reasoning: ReasoningBlock


class Closed(msgspec.Struct, frozen=True):
    """Event: a block is complete."""

    index: int


class Ended(msgspec.Struct, frozen=True):
    """Event: the answer is complete."""

    stop: Stop
    stop_sequence: str = ""


Event: TypeAlias = Opened | Grown | Signed | Closed | Ended
