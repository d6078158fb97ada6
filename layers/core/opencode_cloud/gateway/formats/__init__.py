"""The wire formats of model calls, and conversions from each to each (docs/formats.md). Pure: no I/O.

A format is one folder, whose object is listed in ``registry.py``.
"""

from opencode_cloud.gateway.formats.adapting import RENAMED, adaptable_parts, adapted, parts_in, refused_parts
from opencode_cloud.gateway.formats.embedding.answers import relay_embedding
from opencode_cloud.gateway.formats.embedding.requests import (
    embedding_format,
    embedding_path,
    forward_embedding,
    read_embedding,
)
from opencode_cloud.gateway.formats.error_forms import TOO_LONG
from opencode_cloud.gateway.formats.errors import answer_error, error_event, heartbeat, is_own_error
from opencode_cloud.gateway.formats.faults import LONGEST_RETRY_AFTER, upstream_fault
from opencode_cloud.gateway.formats.final import final_refusal
from opencode_cloud.gateway.formats.forwarding import forward_request, least_output
from opencode_cloud.gateway.formats.identities import bounded_session, session_of
from opencode_cloud.gateway.formats.marks import lifetimes
from opencode_cloud.gateway.formats.models import (
    EmbeddingMethod,
    ForwardedRequest,
    InvalidRequest,
    ParsedRequest,
    PathTarget,
    UpstreamFault,
    UpstreamGarbage,
    WholeAnswer,
)
from opencode_cloud.gateway.formats.openings import opening_of
from opencode_cloud.gateway.formats.parsing import read_count_request, read_request, tool_names
from opencode_cloud.gateway.formats.prompt_size import overhead_of, prompt_bytes, text_of
from opencode_cloud.gateway.formats.registry import WIRE_FORMATS, wire_format
from opencode_cloud.gateway.formats.relaying import (
    StreamRelay,
    collect_answer,
    relay_answer,
    relay_stream,
    stream_answer,
)
from opencode_cloud.gateway.formats.service_tiers import tier_name
from opencode_cloud.gateway.formats.serving import serving_name
from opencode_cloud.gateway.formats.wire import WireFormat

__all__ = [
    "LONGEST_RETRY_AFTER",
    "RENAMED",
    "TOO_LONG",
    "WIRE_FORMATS",
    "EmbeddingMethod",
    "ForwardedRequest",
    "InvalidRequest",
    "ParsedRequest",
    "PathTarget",
    "StreamRelay",
    "UpstreamFault",
    "UpstreamGarbage",
    "WholeAnswer",
    "WireFormat",
    "adaptable_parts",
    "adapted",
    "answer_error",
    "bounded_session",
    "collect_answer",
    "embedding_format",
    "embedding_path",
    "error_event",
    "final_refusal",
    "forward_embedding",
    "forward_request",
    "heartbeat",
    "is_own_error",
    "least_output",
    "lifetimes",
    "opening_of",
    "overhead_of",
    "parts_in",
    "prompt_bytes",
    "read_count_request",
    "read_embedding",
    "read_request",
    "refused_parts",
    "relay_answer",
    "relay_embedding",
    "relay_stream",
    "serving_name",
    "session_of",
    "stream_answer",
    "text_of",
    "tier_name",
    "tool_names",
    "upstream_fault",
    "wire_format",
]
