"""Anthropic Messages."""

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats.defaults import (
    always_usage,
    error_in,
    fixed_path,
    has_list,
    itself,
    model_override,
    never_refused,
    one_answer,
)
from opencode_cloud.gateway.formats.error_forms import anthropic_body, is_anthropic_error
from opencode_cloud.gateway.formats.messages import answers, errors, requests, usage
from opencode_cloud.gateway.formats.messages.inspection import inspect
from opencode_cloud.gateway.formats.messages.limits import LIMITS
from opencode_cloud.gateway.formats.messages.members import MEMBERS
from opencode_cloud.gateway.formats.messages.metering import MessagesMeter
from opencode_cloud.gateway.formats.messages.streams import MessagesReader, MessagesWriter
from opencode_cloud.gateway.formats.messages.thoughts import without_thoughts
from opencode_cloud.gateway.formats.prompt_members import SETTINGS, VERBATIM
from opencode_cloud.gateway.formats.reading import Node
from opencode_cloud.gateway.formats.sse import COMMENT
from opencode_cloud.gateway.formats.tools import tool_names
from opencode_cloud.gateway.formats.wire import WireFormat

__all__ = ["MESSAGES"]

MESSAGES = WireFormat(
    name=Format.MESSAGES,
    client_paths=("/zen/v1/messages", "/inference/anthropic/v1/messages"),
    read_path=None,
    upstream_path=fixed_path("/messages"),
    count_paths=("/zen/v1/messages/count_tokens", "/inference/anthropic/v1/messages/count_tokens"),
    count_request=itself,
    write_count=answers.count,
    node=Node,
    prompt_member="messages",
    inspect=inspect,
    output_limit=requests.output_limit,
    answer_count=one_answer,
    wants_usage=always_usage,
    tool_names=tool_names,
    settings=SETTINGS,
    verbatim=VERBATIM,
    image_tokens=5000,
    is_refused=never_refused,
    overrides=model_override,
    without_thoughts=without_thoughts,
    members=MEMBERS,
    limits=LIMITS,
    requires_output_limit=True,
    read_request=requests.read,
    write_request=requests.write,
    answer_member="content",
    is_answer=has_list("content"),
    usage_member="usage",
    error_in=error_in,
    read_usage=usage.read,
    write_usage=usage.write,
    served_tier=usage.served_tier,
    read_answer=answers.read,
    write_answer=answers.write,
    reader=MessagesReader,
    writer=MessagesWriter,
    meter=MessagesMeter,
    is_error=is_anthropic_error,
    error_body=anthropic_body,
    error_event=errors.event,
    heartbeat=COMMENT,
)
