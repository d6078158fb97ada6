"""OpenAI Responses."""

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats.defaults import (
    always_usage,
    error_in,
    fixed_path,
    has_list,
    itself,
    never_refused,
    one_answer,
)
from opencode_cloud.gateway.formats.error_forms import is_openai_error, openai_body
from opencode_cloud.gateway.formats.prompt_members import SETTINGS, VERBATIM
from opencode_cloud.gateway.formats.reading import Node
from opencode_cloud.gateway.formats.responses import answers, errors, requests, usage
from opencode_cloud.gateway.formats.responses.inspection import inspect
from opencode_cloud.gateway.formats.responses.limits import LIMITS
from opencode_cloud.gateway.formats.responses.members import MEMBERS
from opencode_cloud.gateway.formats.responses.metering import ResponsesMeter
from opencode_cloud.gateway.formats.responses.streams import ResponsesReader, ResponsesWriter
from opencode_cloud.gateway.formats.responses.thoughts import without_thoughts
from opencode_cloud.gateway.formats.service_tiers import tier_of_answer
from opencode_cloud.gateway.formats.sse import COMMENT
from opencode_cloud.gateway.formats.tools import tool_names
from opencode_cloud.gateway.formats.wire import WireFormat

__all__ = ["RESPONSES"]

RESPONSES = WireFormat(
    name=Format.RESPONSES,
    client_paths=("/zen/v1/responses", "/inference/openai/v1/responses"),
    read_path=None,
    upstream_path=fixed_path("/responses"),
    count_paths=("/zen/v1/responses/input_tokens", "/inference/openai/v1/responses/input_tokens"),
    count_request=itself,
    write_count=answers.count,
    node=Node,
    prompt_member="input",
    inspect=inspect,
    output_limit=requests.output_limit,
    answer_count=one_answer,
    wants_usage=always_usage,
    tool_names=tool_names,
    settings=SETTINGS,
    verbatim=VERBATIM,
    image_tokens=50_000,
    is_refused=never_refused,
    overrides=requests.overrides,
    without_thoughts=without_thoughts,
    members=MEMBERS,
    limits=LIMITS,
    requires_output_limit=False,
    read_request=requests.read,
    write_request=requests.write,
    answer_member="output",
    is_answer=has_list("output"),
    usage_member="usage",
    error_in=error_in,
    read_usage=usage.read,
    write_usage=usage.write,
    served_tier=tier_of_answer,
    read_answer=answers.read,
    write_answer=answers.write,
    reader=ResponsesReader,
    writer=ResponsesWriter,
    meter=ResponsesMeter,
    is_error=is_openai_error,
    error_body=openai_body,
    error_event=errors.event,
    heartbeat=COMMENT,
)
