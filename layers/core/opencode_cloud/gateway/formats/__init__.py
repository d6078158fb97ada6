"""Four wire formats of model calls, and the twelve ways from one to another (docs/formats.md). Pure: no I/O."""

from opencode_cloud.gateway.formats.asking import overhead_of, prompt_bytes, read_request, text_of
from opencode_cloud.gateway.formats.faults import answer_error, error_event, heartbeat, upstream_fault
from opencode_cloud.gateway.formats.forwarding import forward_request
from opencode_cloud.gateway.formats.models import Answer, Asked, InvalidRequest, UpstreamFault, UpstreamGarbage
from opencode_cloud.gateway.formats.relaying import StreamRelay, relay_answer, relay_stream

__all__ = [
    "Answer",
    "Asked",
    "InvalidRequest",
    "StreamRelay",
    "UpstreamFault",
    "UpstreamGarbage",
    "answer_error",
    "error_event",
    "forward_request",
    "heartbeat",
    "overhead_of",
    "prompt_bytes",
    "read_request",
    "relay_answer",
    "relay_stream",
    "text_of",
    "upstream_fault",
]
