"""Limits of the formats: values that an upstream refuses, and the request that it takes instead.

Each format has one table. A conversion applies the table of its target to the neutral request, so no writer can forget
a limit. The changes that the answer must reverse are in :class:`Emulation`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from opencode_cloud.gateway.formats.marks import is_repeated, with_marks, with_own_marks
from opencode_cloud.gateway.formats.models import (
    Block,
    Choice,
    Emulation,
    Malformed,
    ModelRequest,
    TextBlock,
    ToolCall,
    ToolChoice,
    ToolDefinition,
    ToolResult,
    Turn,
)
from opencode_cloud.gateway.formats.reading import compact
from opencode_cloud.gateway.formats.schemas import complete_schema, is_closed, object_schema
from opencode_cloud.gateway.formats.writing import merged

_UNSET = {field.name: field.default for field in msgspec.structs.fields(ModelRequest)}
_SAMPLING = frozenset({"temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty"})
_VERBOSITY = frozenset({"verbosity"})
VERBOSE = re.compile(r"(?:^|/)gpt-(?:[5-9]|\d\d)(?!.*(?:chat|codex))")
"""Matches models of OpenAI that take each verbosity. Others refuse all but `medium`, or the member."""
MOST_MARKS = 4
"""The cache marks that upstreams take, where their format does not say it."""
_CACHED_BY_MARKS = re.compile(r"claude")
"""Matches models that cache by marks only, at upstreams of a format whose other models cache by themselves."""
_DIGEST = 8
"""Characters of a hash at the end of a replaced name."""
_UNSAFE = r"[^a-zA-Z0-9_-]"
FREE_JSON = "Answer with one JSON object only: no other text, and no code fence."
"""The instruction that replaces the member for JSON of any form."""
OPENING = "(The conversation begins.)"
"""The user's turn in front of a conversation that begins with the assistant."""
CONTINUING = "(Continue.)"
"""The user's turn behind a conversation that ends with the assistant."""
UNFINISHING = re.compile(
    r"claude-(?:[a-z]+-)?(?:4[-.](?:[6-9]|\d\d)(?!\d)|(?:[5-9]|\d\d)(?!\d))|claude-(?:mythos|fable)"
)
"""Claude from 4.6 on: it does not finish an answer that the request begins ("does not support prefill")."""


class TargetLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of one format. No member has a default, so a new format must state each of them."""

    longest_user: int
    """The longest id of a user, in characters."""
    address_as_user: bool
    """True if an e-mail address may be the id of a user."""
    least_output: int
    """The smallest limit of an answer, in tokens. A smaller one is raised to it."""
    tool_name: re.Pattern[str]
    """Matches the names of tools that upstreams take."""
    longest_name: int
    """The longest name of a tool, in characters."""
    most_tools: int | None
    """The number of tools that upstreams take; None: the vendor states no limit."""
    uncounted_models: re.Pattern[str] | None
    """Matches models without this limit: servers of others speak the format too. None: all models have it."""
    strict_schemas: bool
    """True if a tool's schema must be an object with ``properties``, without a choice of schemas at the top."""
    closed_tools: bool
    """True if the schema of a strict tool must be closed, and require each property. Other tools are not strict."""
    most_stops: int
    """The number of stop sequences that upstreams take; 0: the format has none. The gateway applies the rest."""
    blank_stops: bool
    """True if a stop sequence may be white space alone."""
    trailing_space: bool
    """True if the assistant's last turn may end in white space."""
    first_turn: bool
    """True if the assistant may have the first turn."""
    unfinishing_models: re.Pattern[str] | None
    """Matches models that refuse a last turn of the assistant; None: all models take one."""
    repeated_turns: bool
    """True if turns of the assistant may follow each other."""
    one_call: bool
    """True if a request can ask for one tool call at a time. Otherwise the gateway passes on the first one."""
    parallel_models: re.Pattern[str] | None
    """Matches models that refuse to be told whether they may call several tools at a time; None: no model does."""
    plain_models: re.Pattern[str] | None
    """Matches models that take neither stop sequences nor settings of sampling; None: all models take them."""
    unsampled_models: re.Pattern[str] | None
    """Matches models that take stop sequences, and no settings of sampling; None: all others take them."""
    verbose_models: re.Pattern[str] | None
    """Matches models that take a verbosity; None: no model does."""
    most_marks: int
    """The number of cache marks that upstreams take. The last ones stay: they cover the longest prompts."""
    ignored: frozenset[str]
    """Members of the neutral request that the format has no place for, and that are hints."""
    free_json: bool
    """True if a request can ask for JSON of any form. Otherwise an instruction does."""
    toolless_json: re.Pattern[str] | None
    """Matches models that take a form of the answer without tools only; None: all take it with tools too."""


def within(
    request: ModelRequest, limits: TargetLimits, model: str, *, cache_marks: bool = False
) -> tuple[ModelRequest, Emulation]:
    """Return a request that keeps ``limits``, and how the answer must be changed to make up for it.

    ``model`` is the name that tells the model (:mod:`serving`). With ``cache_marks`` the upstream takes marks that its
    format does not have by itself. Raises :class:`Malformed` for a forced tool call in a request without tools, and for
    more tools than the upstream takes: the gateway cannot know which of them the client needs.
    """
    repeated = is_repeated(request)
    plain = _matches(limits.plain_models, model)
    unsampled = plain or _matches(limits.unsampled_models, model)
    ignored = limits.ignored | _SAMPLING if unsampled else limits.ignored
    ignored = ignored if _matches(limits.verbose_models, model) else ignored | _VERBOSITY
    request = _without_hints(_without_orphans(request), ignored)
    request, names = _named(request, limits)
    carried, cut = _stops(request.stop, limits, most=0 if plain else limits.most_stops)
    tools = tuple(_tool(tool, limits) for tool in _unique(request.tools))
    told = _told_form(request, limits, model)
    untold = _matches(limits.parallel_models, model)
    single = request.parallel is False and (untold or not limits.one_call)
    request = msgspec.structs.replace(
        request,
        messages=tuple(_turns(request.messages, limits, model)),
        system=_system(request, told),
        shape=None if told else request.shape,
        tools=tools,
        dropped=(*request.dropped, *_loosened(request.tools, tools)),
        parallel=None if single or untold else request.parallel,
        max_output=None if request.max_output is None else max(request.max_output, limits.least_output),
        stop=carried,
        user=user_within(request.user, limits),
    )
    _check_number(request.tools, limits, model)
    by_marks = limits.most_marks > 0 or (cache_marks and _CACHED_BY_MARKS.search(model) is not None)
    if repeated and by_marks:
        request = with_own_marks(request)
    request = with_marks(request, MOST_MARKS if cache_marks else limits.most_marks)
    return request, Emulation(names=names, stops=cut, one_call=single)


def user_within(user: str, limits: TargetLimits) -> str:
    """Return the id of a user that upstreams take. The same id always gives the same result."""
    if len(user) <= limits.longest_user and (limits.address_as_user or "@" not in user):
        return user
    return "user_" + _digest(user, 32)


def name_within(name: str, limits: TargetLimits) -> str:
    """Return the name of a tool that upstreams take: the name itself, or its beginning with a hash."""
    if limits.tool_name.fullmatch(name) and len(name) <= limits.longest_name:
        return name
    start = re.sub(_UNSAFE, "_", name)[: limits.longest_name - _DIGEST - 1]
    start = start if start[:1].isalpha() else f"_{start[: limits.longest_name - _DIGEST - 2]}"
    return f"{start}_{_digest(name, _DIGEST)}"


def _matches(models: re.Pattern[str] | None, model: str) -> bool:
    return models is not None and models.search(model) is not None


def _check_number(tools: tuple[ToolDefinition, ...], limits: TargetLimits, model: str) -> None:
    if limits.most_tools is None or _matches(limits.uncounted_models, model):
        return
    if len(tools) > limits.most_tools:
        raise Malformed(
            "tools",
            f"has {len(tools)} tools, but this model's upstream takes at most {limits.most_tools}. Offer fewer: turn "
            "off MCP servers that you do not need, or choose another model",
        )


def _without_orphans(request: ModelRequest) -> ModelRequest:
    """Remove the members that mean nothing without tools."""
    choice = request.tool_choice
    offered = {tool.name for tool in request.tools}
    if choice is not None and (missing := next((name for name in choice.names if name not in offered), None)):
        raise Malformed(
            "tool_choice", f"forces the tool `{missing[:100]}`, which this model's upstream cannot be offered"
        )
    if choice is not None and choice.names and choice.choice is Choice.AUTO:
        allowed = tuple(tool for tool in request.tools if tool.name in choice.names)
        return msgspec.structs.replace(request, tools=allowed, tool_choice=ToolChoice(Choice.AUTO))
    if offered:
        return request
    if choice is not None and choice.choice is Choice.REQUIRED:
        raise Malformed(
            "tool_choice", "forces a tool call, but this model's upstream can be offered no tool of the request"
        )
    return msgspec.structs.replace(request, tool_choice=None, parallel=None)


def _without_hints(request: ModelRequest, ignored: frozenset[str]) -> ModelRequest:
    """Remove the hints that the upstream has no place for, and note those that were given."""
    given = [name for name in sorted(ignored) if getattr(request, name) not in (None, "")]
    changes: dict[str, Any] = {name: _UNSET[name] for name in given}
    # Clients send penalties of 0, which is the default.
    noted = [name for name in given if getattr(request, name) != 0 or not name.endswith("_penalty")]
    return msgspec.structs.replace(request, **changes, dropped=(*request.dropped, *noted))


def _named(request: ModelRequest, limits: TargetLimits) -> tuple[ModelRequest, dict[str, str]]:
    """Return a request with acceptable names of tools, and the client's names by the new ones."""
    names: dict[str, str] = {}

    def name(given: str) -> str:
        new = name_within(given, limits) if given else given
        if new != given:
            names[new] = given
        return new

    choice = request.tool_choice
    request = msgspec.structs.replace(
        request,
        tools=tuple(msgspec.structs.replace(tool, name=name(tool.name)) for tool in request.tools),
        tool_choice=choice and ToolChoice(choice.choice, tuple(map(name, choice.names))),
        messages=tuple(
            Turn(turn.role, tuple(_renamed(block, name) for block in turn.blocks)) for turn in request.messages
        ),
    )
    return request, names


def _renamed(block: Block, name: Callable[[str], str]) -> Block:
    if isinstance(block, (ToolCall, ToolResult)):
        return msgspec.structs.replace(block, name=name(block.name))
    return block


def _stops(stops: tuple[str, ...], limits: TargetLimits, *, most: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the stop sequences that the upstream applies, and those that the gateway applies."""
    stops = tuple(dict.fromkeys(filter(None, stops)))
    carried = [stop for stop in stops if limits.blank_stops or stop.strip()][:most]
    return tuple(carried), tuple(stop for stop in stops if stop not in carried)


def _tool(tool: ToolDefinition, limits: TargetLimits) -> ToolDefinition:
    if tool.schema is None:
        return tool
    schema = complete_schema(tool.schema)
    schema = object_schema(schema) if limits.strict_schemas else schema
    loose = tool.strict and limits.closed_tools and not is_closed(schema)
    return msgspec.structs.replace(tool, schema=schema, strict=False if loose else tool.strict)


def _loosened(given: tuple[ToolDefinition, ...], tools: tuple[ToolDefinition, ...]) -> tuple[str, ...]:
    """Return the name of the hint that is dropped if a tool is no longer strict."""
    strict = {tool.name for tool in tools if tool.strict}
    return ("tools.strict",) if {tool.name for tool in given if tool.strict} - strict else ()


def _unique(tools: Iterable[ToolDefinition]) -> Iterable[ToolDefinition]:
    """Return tools of different names. A later definition replaces an earlier one: clients add tools to a prompt."""
    return {tool.name: tool for tool in tools}.values()


def _told_form(request: ModelRequest, limits: TargetLimits, model: str) -> str:
    """Return the instruction that replaces the form of the answer; empty: the upstream takes the member."""
    if request.shape is None:
        return ""
    schema = request.shape.schema
    refused = bool(request.tools) and _matches(limits.toolless_json, model)
    if schema is None:
        return FREE_JSON if refused or not limits.free_json else ""
    return f"{FREE_JSON} It must be valid by this JSON Schema:\n{compact(schema)}" if refused else ""


def _system(request: ModelRequest, told: str) -> tuple[TextBlock, ...]:
    system = tuple(text for text in request.system if text.text.strip())
    return (*system, TextBlock(told)) if told else system


def _turns(turns: tuple[Turn, ...], limits: TargetLimits, model: str) -> Iterable[Turn]:
    turns = _behind_results(tuple(turn for turn in turns if turn.role != "system" or _says_something(turn)))
    written = list(turns) if limits.repeated_turns else _joined(turns)
    spoken = [turn for turn in written if turn.role != "system"]
    if not limits.trailing_space and spoken and spoken[-1].role == "assistant":
        written[written.index(spoken[-1])] = _stripped(spoken[-1])
    first = next((turn for turn in spoken if not _is_blank(turn)), None)
    if not limits.first_turn and first is not None and first.role == "assistant":
        written.insert(0, Turn("user", (TextBlock(OPENING),)))
    if _matches(limits.unfinishing_models, model) and _ends_with_text(written):
        written.append(Turn("user", (TextBlock(CONTINUING),)))
    return written


def _ends_with_text(turns: list[Turn]) -> bool:
    """Tell whether the assistant has the last turn, and its last calls are not open."""
    last = turns[-1] if turns else Turn("user", ())
    return last.role == "assistant" and not any(isinstance(block, ToolCall) for block in last.blocks)


def _is_blank(turn: Turn) -> bool:
    return all(isinstance(block, TextBlock) and not block.text.strip() for block in turn.blocks)


def _says_something(turn: Turn) -> bool:
    return any(isinstance(block, TextBlock) and block.text.strip() for block in turn.blocks)


def _behind_results(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """Return turns in which no text of the system separates calls from their results."""
    written: list[Turn] = []
    held: list[Turn] = []
    for turn in turns:
        if turn.role == "system" and (held or (written and any(isinstance(b, ToolCall) for b in written[-1].blocks))):
            held.append(turn)
            continue
        written.append(turn)
        written += held
        held = []
    return (*written, *held)


def _joined(turns: tuple[Turn, ...]) -> list[Turn]:
    """Return turns in which neighbours of the assistant are one. Others stay as they are."""
    written: list[Turn] = []
    for turn in turns:
        if turn.role == "assistant" and written and written[-1].role == "assistant":
            written[-1:] = merged([written[-1], turn])
        else:
            written.append(turn)
    return written


def _stripped(turn: Turn) -> Turn:
    """Return a turn whose last text has no white space at its end."""
    *blocks, last = turn.blocks or (TextBlock(""),)
    if isinstance(last, TextBlock):
        last = msgspec.structs.replace(last, text=last.text.rstrip())
    return Turn(turn.role, (*blocks, last))


def _digest(text: str, length: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:length]
