"""OpenAI Chat Completions."""

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats.chat import answers, errors, requests, usage
from opencode_cloud.gateway.formats.chat.inspection import inspect
from opencode_cloud.gateway.formats.chat.limits import LIMITS
from opencode_cloud.gateway.formats.chat.members import MEMBERS
from opencode_cloud.gateway.formats.chat.metering import ChatMeter
from opencode_cloud.gateway.formats.chat.reasoning import without_thoughts
from opencode_cloud.gateway.formats.chat.streams import ChatReader, ChatWriter
from opencode_cloud.gateway.formats.defaults import fixed_path, itself, no_count
from opencode_cloud.gateway.formats.error_forms import is_openai_error, openai_body
from opencode_cloud.gateway.formats.prompt_members import SETTINGS, VERBATIM
from opencode_cloud.gateway.formats.reading import Node
from opencode_cloud.gateway.formats.service_tiers import tier_of_answer
from opencode_cloud.gateway.formats.sse import COMMENT
from opencode_cloud.gateway.formats.tools import tool_names
from opencode_cloud.gateway.formats.wire import WireFormat

__all__ = ["CHAT"]

CHAT = WireFormat(
    name=Format.CHAT,
    client_paths=("/zen/v1/chat/completions", "/inference/openai/v1/chat/completions"),
    read_path=None,
    upstream_path=fixed_path("/chat/completions"),
    count_paths=(),
    count_request=itself,
    write_count=no_count,
    node=Node,
    prompt_member="messages",
    inspect=inspect,
    output_limit=requests.output_limit,
    answer_count=requests.answer_count,
    wants_usage=requests.wants_usage,
    tool_names=tool_names,
    settings=SETTINGS,
    verbatim=VERBATIM,
    image_tokens=50_000,
    is_refused=requests.is_refused,
    overrides=requests.overrides,
    without_thoughts=without_thoughts,
    members=MEMBERS,
    limits=LIMITS,
    requires_output_limit=False,
    read_request=requests.read,
    write_request=requests.write,
    answer_member="choices",
    is_answer=answers.is_answer,
    usage_member="usage",
    error_in=errors.error_in,
    read_usage=usage.read,
    write_usage=usage.write,
    served_tier=tier_of_answer,
    read_answer=answers.read,
    write_answer=answers.write,
    reader=ChatReader,
    writer=ChatWriter,
    meter=ChatMeter,
    is_error=is_openai_error,
    error_body=openai_body,
    error_event=errors.event,
    heartbeat=COMMENT,
)
