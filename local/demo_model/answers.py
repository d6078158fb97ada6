"""The script: which answer the model gives to a prompt. The same request always gets the same answer."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, DecimalException
from typing import Any, cast

from local.demo_model.conversations import Heard, Json

MODEL, SMALL_MODEL = "demo-scripted", "demo-scripted-mini"
"""Ids of the models, here and in the catalogue. The small one says only the first paragraph of each answer."""

QUOTED, SHOWN = 200, 1200
"""The longest prompt that an answer repeats, and the longest result of a tool that it shows, in characters."""
MOST_COUNTED = 200
TITLE_WORDS = 6
DEPTH = 4
"""Levels of a tool's parameters that are filled in; deeper ones are left empty."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool."""

    tool: str
    arguments: Json = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class ScriptedAnswer:
    """An answer of the model: a text, or the call of a tool."""

    text: str = ""
    call: ToolCall | None = None


def answer_to(heard: Heard) -> ScriptedAnswer:
    """Return the answer to a request. It calls a tool only if the prompt or the request asks for it."""
    if heard.wants_title:
        return ScriptedAnswer(_title(heard.prompt))
    if heard.results:
        return ScriptedAnswer(_short(_told(heard.results), heard))
    call = _call(heard)
    if call is not None:
        return ScriptedAnswer(call=call)
    return ScriptedAnswer(_short(_said(heard), heard))


def _said(heard: Heard) -> str:
    if heard.images:
        return f"I got {heard.images} image(s). I follow a script, so I cannot see what they show."
    for pattern, say in _SCRIPT:
        if match := pattern.search(heard.prompt):
            return say(match, heard)
    return _repeated(heard.prompt)


def _short(text: str, heard: Heard) -> str:
    return text.partition("\n\n")[0] if heard.model.endswith("-mini") else text


# ------------------------------------------------------------------------------------------------------- texts


def _greeting(_match: re.Match[str], heard: Heard) -> str:
    return (
        f"Hello! I am {heard.model}, the scripted model of this laptop. The gateway has answered you through me.\n\n"
        "Ask what I am, ask for a sum, for some code or for a long story. "
        "If you work in an agent, ask me to run `ls` or to read `README.md`."
    )


def _identity(_match: re.Match[str], heard: Heard) -> str:
    return (
        f"I am {heard.model}: no neural network, but a script of Opencode Cloud that runs on this machine only.\n\n"
        "My calls pass the gateway like those of any model. Policies and budgets apply to them, each one is metered at "
        "the catalogue's price, and each one is in the usage of your workspace. "
        "Set a key of a provider, such as `OPENAI_API_KEY`, to get models that think."
    )


def _help(_match: re.Match[str], heard: Heard) -> str:
    tools = ", ".join(sorted(heard.tools)) or "none"
    return (
        "I answer from a script. Here is what I know.\n\n"
        "- `hello`, `what are you`\n"
        "- `17 * 23`: a sum\n"
        "- `count to 20`\n"
        "- `write code`, `tell a long story`: text to look at while it streams\n"
        '- ``run `ls` ``, ``read `README.md` ``, `use <tool> {"argument": "value"}`: I call a tool of your agent\n\n'
        f"The tools that you offer: {tools}."
    )


def _sum(match: re.Match[str], _heard: Heard) -> str:
    left, sign, right = Decimal(match[1]), match[2], Decimal(match[3])
    try:
        result = _SIGNS[sign](left, right).normalize()
    except DecimalException:
        return "Nothing can be divided by zero."
    return f"{match[1]} {sign} {match[3]} = {result:f}"


def _count(match: re.Match[str], _heard: Heard) -> str:
    last = min(int(match[1]), MOST_COUNTED)
    return " ".join(f"{number}," for number in range(1, last)) + f" {last}."


def _code(_match: re.Match[str], _heard: Heard) -> str:
    return (
        "Here is a function, with a test.\n\n"
        "```python\n"
        "def words(text: str) -> dict[str, int]:\n"
        '    """Count how often each word occurs, ignoring case."""\n'
        "    counts: dict[str, int] = {}\n"
        "    for word in text.lower().split():\n"
        "        counts[word] = counts.get(word, 0) + 1\n"
        "    return counts\n\n\n"
        "def test_words() -> None:\n"
        '    assert words("To be or not to be") == {"to": 2, "be": 2, "or": 1, "not": 1}\n'
        "```\n\n"
        "It is the same function each time, because I follow a script."
    )


def _story(_match: re.Match[str], _heard: Heard) -> str:
    return "\n\n".join(_STORY)


def _repeated(prompt: str) -> str:
    # A checksum is the same in every process, unlike `hash`.
    remark = _REMARKS[zlib.crc32(prompt.encode(errors="replace")) % len(_REMARKS)]
    said = prompt if len(prompt) <= QUOTED else f"{prompt[:QUOTED].rstrip()} ..."
    return f'You said: "{said}"\n\n{remark}'


def _told(results: Sequence[str]) -> str:
    result = results[-1].strip()
    shown = result if len(result) <= SHOWN else f"{result[:SHOWN].rstrip()}\n..."
    lines = len(result.splitlines())
    return f"The tool answered with {lines} line{'' if lines == 1 else 's'}.\n\n```\n{shown}\n```"


def _title(prompt: str) -> str:
    words = re.sub(r"[^\w\s'-]", " ", prompt).split()[:TITLE_WORDS]
    title = " ".join(words)
    return title[:1].upper() + title[1:] if title else "A scripted session"


# ------------------------------------------------------------------------------------------------------- tools


def _call(heard: Heard) -> ToolCall | None:
    """Return the call that the prompt asks for, or else the one that the request forces."""
    if match := _USE.search(heard.prompt):
        arguments = _arguments(match[2])
        if match[1] in heard.tools and arguments is not None:
            return ToolCall(match[1], arguments)
    for pattern, members in ((_RUN, ("command", "cmd")), (_READ, ("filePath", "file_path", "path"))):
        match = pattern.search(heard.prompt)
        if match and (call := _with_member(heard.tools, members, match[1])):
            return call
    if heard.forced:
        return ToolCall(heard.forced, cast("Json", _example(heard.tools.get(heard.forced, {}), heard.prompt)))
    return None


def _arguments(text: str) -> Json | None:
    """Return the JSON object at the beginning of a text; an empty one if there is no text, None if it is no object."""
    if not text.strip():
        return {}
    try:
        value, _ = json.JSONDecoder().raw_decode(text.strip())
    except ValueError:
        return None
    return cast("Json", value) if isinstance(value, dict) else None


def _with_member(tools: Mapping[str, Json], members: Sequence[str], value: str) -> ToolCall | None:
    """Return a call of the tool that needs the fewest parameters beside one of these, which gets the value."""
    fitting = [
        (len(schema.get("required", ())), _rank(name), name, member)
        for name, schema in tools.items()
        for member in members
        if member in schema.get("required", ())
    ]
    if not fitting:
        return None
    *_, name, member = min(fitting)
    arguments = cast("Json", _example(tools[name], f"asked for: {value}"))
    return ToolCall(name, arguments | {member: value})


def _rank(name: str) -> int:
    """Return 0 for tools whose name says that they run or read; 1 for others."""
    return 0 if re.search(r"bash|shell|exec|run|read", name, re.IGNORECASE) else 1


def _example(schema: Json, text: str, depth: int = DEPTH) -> Any:
    """Return the smallest value that fits a JSON Schema, with `text` where text is wanted."""
    if choices := schema.get("enum"):
        return choices[0]
    kind: Any = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = cast("list[str]", kind)[0]
    if kind == "object":
        properties: Mapping[str, Json] = schema.get("properties", {}) if depth else {}
        return {
            name: _example(member, text, depth - 1)
            for name, member in properties.items()
            if name in schema.get("required", ())
        }
    if kind == "array":
        return [_example(schema.get("items", {}), text, depth - 1) for _ in range(schema.get("minItems", 0))]
    return {"string": text, "integer": 1, "number": 1, "boolean": True}.get(cast("str", kind))


_USE = re.compile(
    r"^(?:please )?(?:use|call)(?: the)?(?: tool)? `?([\w.-]+)`?(?: tool)?(?: with)?\s*(\{.*|)$", re.I | re.S
)
_RUN = re.compile(r"\brun `([^`\n]+)`", re.I)
_READ = re.compile(r"\bread `([^`\n]+)`", re.I)
_SIGNS: Mapping[str, Callable[[Decimal, Decimal], Decimal]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
}
_NUMBER = r"(-?\d{1,12}(?:\.\d{1,6})?)"
_SCRIPT: Sequence[tuple[re.Pattern[str], Callable[[re.Match[str], Heard], str]]] = (
    (re.compile(r"^(hello|hi|hey|good (morning|afternoon|evening)|hallo|bonjour|hola|你好)\b", re.I), _greeting),
    (re.compile(r"\b(who|what) are you\b|\b(which|what) model\b|your name|introduce yourself", re.I), _identity),
    (re.compile(r"^help\b|what can you do", re.I), _help),
    (re.compile(rf"{_NUMBER} ?([-+*/]) ?{_NUMBER}"), _sum),
    (re.compile(r"\bcount to (\d{1,9})\b", re.I), _count),
    (re.compile(r"\b(code|function|program|script)\b", re.I), _code),
    (re.compile(r"\b(long|story|essay)\b", re.I), _story),
)
"""The first pattern that a prompt matches chooses the answer."""
_REMARKS = (
    "I follow a script, so this is all that I have to say about it.",
    "I cannot think about it: I am a script. But the gateway has metered these words like those of any model.",
    "That is an echo, and it cost a little of the budget. Say `help` to see what else I know.",
)
_STORY = (
    "A small team had one key of a provider, and it lived in a chat. All of them copied it. At the end of the month "
    "there was a bill that did not say who had spent what, and a meeting about the bill.",
    "One of them put a gateway in front of the models. Each person signed in, and each program got a key of its own. "
    "The old key moved into a safe place, and the chat was about lunch again.",
    "Then a program looped over the weekend. It asked the same question eleven thousand times. On call that was not "
    "answered, because the budget of its project was used up on Saturday at nine. The answer said so in one sentence, "
    "and the program stopped. The rest of the team did not notice.",
    "On Monday they opened the page of usage. One bar was higher than the others. They clicked on it, and it had the "
    "name of a project, the name of a key, and the hour at which it began.",
    "They mended the loop before coffee. The meeting about the bill was cancelled, and they used the hour for lunch.",
)
