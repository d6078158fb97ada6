"""Google's generateContent."""

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats.defaults import always_usage, error_in, never_refused
from opencode_cloud.gateway.formats.error_forms import is_google_error
from opencode_cloud.gateway.formats.generate import addressing, answers, errors, requests, usage
from opencode_cloud.gateway.formats.generate.inspection import inspect
from opencode_cloud.gateway.formats.generate.limits import LIMITS
from opencode_cloud.gateway.formats.generate.members import MEMBERS
from opencode_cloud.gateway.formats.generate.metering import GenerateMeter
from opencode_cloud.gateway.formats.generate.streams import GenerateReader, GenerateWriter
from opencode_cloud.gateway.formats.generate.thoughts import without_thoughts
from opencode_cloud.gateway.formats.prompt_members import SETTINGS, VERBATIM
from opencode_cloud.gateway.formats.reading import ProtoNode
from opencode_cloud.gateway.formats.tools import tool_names
from opencode_cloud.gateway.formats.wire import WireFormat

__all__ = ["GENERATE"]

HEARTBEAT = b"\n"
"""Google's Python SDK takes each line that is neither empty nor data for a part of a JSON document, also a comment."""

GENERATE = WireFormat(
    name=Format.GENERATE,
    client_paths=("/zen/v1/models/{call}", "/zen/v1beta/models/{call}", "/inference/google/v1beta/models/{call}"),
    read_path=addressing.read_path,
    upstream_path=addressing.upstream_path,
    count_paths=(
        "/zen/v1/models/{model}:countTokens",
        "/zen/v1beta/models/{model}:countTokens",
        "/inference/google/v1beta/models/{model}:countTokens",
    ),
    count_request=addressing.count_request,
    write_count=answers.count,
    node=ProtoNode,
    prompt_member="contents",
    inspect=inspect,
    output_limit=requests.output_limit,
    answer_count=requests.answer_count,
    wants_usage=always_usage,
    tool_names=tool_names,
    settings=SETTINGS,
    verbatim=VERBATIM,
    image_tokens=5000,
    is_refused=never_refused,
    overrides=addressing.overrides,
    without_thoughts=without_thoughts,
    members=MEMBERS,
    limits=LIMITS,
    requires_output_limit=False,
    read_request=requests.read,
    write_request=requests.write,
    answer_member="candidates",
    is_answer=answers.is_answer,
    usage_member="usageMetadata",
    error_in=error_in,
    read_usage=usage.read,
    write_usage=usage.write,
    served_tier=usage.served_tier,
    read_answer=answers.read,
    write_answer=answers.write,
    reader=GenerateReader,
    writer=GenerateWriter,
    meter=GenerateMeter,
    is_error=is_google_error,
    error_body=errors.body,
    error_event=errors.event,
    heartbeat=HEARTBEAT,
)
