"""Find the members of a configuration that run programs on members' machines, or lead there.

An address of a provider leads there too: the answers of that server call tools, and members' own keys are sent to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, cast

from pydantic import BaseModel, Field

from opencode_cloud.kit.json_documents import differences, pointer

Document = Mapping[str, Any]
Found = tuple[tuple[str, ...], str, Any]
"""The place, the effect and the value of a program."""
_HARMLESS_PROVIDER = frozenset({"name", "id", "models", "options", "whitelist", "blacklist"})
_HARMLESS_OPTIONS = frozenset({"timeout", "headerTimeout", "chunkTimeout", "setCacheKey"})
_WEIGHTY_MODEL = frozenset({"provider", "options", "headers", "variants"})
_WHOLE = {
    "shell": "runs every command of the client",
    "server": "opens the client to other programs and machines",
    "permission": "decides what runs without a question",
    "tools": "decides which tools run",
    # One entry for all: the removal of a plugin would change the places of all later ones.
    "plugin": "is installed and runs in the client",
    "skills": "loads instructions and scripts",
}
"""Members that count as a whole."""
_NAMED = {
    "command": "runs when a member calls it; `!` runs a shell command",
    "references": "fetches a repository",
    "reference": "fetches a repository",
    "formatter": "runs after each edit",
    "lsp": "runs while files are open",
    "mcp": "runs when the client starts",
}
"""Members that hold entries by name."""


class Program(BaseModel):
    """A member of a configuration that runs a program on members' machines, or leads there."""

    path: str = Field(description="Its place, as a JSON pointer (RFC 6901).")
    effect: str = Field(description="Its effect on a member's machine.")
    value: Any


def programs_of(document: Document) -> list[Program]:
    """Return the programs of a valid configuration, in the order of their places."""
    return [Program(path=pointer(path), effect=effect, value=value) for path, effect, value in _programs(document)]


def changed_programs(before: Document, after: Document) -> list[Program]:
    """Return the programs that a publication of ``after`` adds, changes or takes away.

    Taking one away counts: a permission that denies something is a program too.
    """
    old, new = ({program.path: program for program in programs_of(document)} for document in (before, after))
    return [
        new.get(path) or old[path]
        for path in [*new, *(path for path in old if path not in new)]
        if path not in old or path not in new or differences(old[path].value, new[path].value)
    ]


def _programs(document: Document) -> Iterator[Found]:
    for name, effect in _WHOLE.items():
        if name in document:
            yield (name,), effect, document[name]
    for name, effect in _NAMED.items():
        for key, value in _entries(document, name):
            if _runs(name, value):
                yield (name, key), effect, value
    yield from _rights_of_agents(document)
    for key, value in _entries(document, "provider"):
        if _leads_elsewhere(value):
            yield ("provider", key), _provider_effect(value), value


def _rights_of_agents(document: Document) -> Iterator[Found]:
    for kind, right in product(("agent", "mode"), ("permission", "tools")):
        for key, value in _entries(document, kind):
            if right in value:
                yield (kind, key, right), _WHOLE[right], value[right]


def _runs(name: str, entry: Any) -> bool:
    """Tell whether an entry starts something. A remote MCP server runs elsewhere."""
    if name == "mcp":
        return entry.get("type") != "remote"
    return entry != {"disabled": True}


def _entries(document: Document, name: str) -> list[tuple[str, dict[str, Any]]]:
    found = document.get(name)
    return list(cast("dict[str, dict[str, Any]]", found).items()) if isinstance(found, dict) else []


def _leads_elsewhere(provider: Document) -> bool:
    """Tell whether an entry installs a package, or changes the destination or the credential of calls."""
    models = cast("dict[str, dict[str, Any]]", provider.get("models", {}))
    return bool(
        set(provider) - _HARMLESS_PROVIDER
        or set(provider.get("options", {})) - _HARMLESS_OPTIONS
        or any(_WEIGHTY_MODEL & set(model) for model in models.values())
    )


def _provider_effect(provider: Document) -> str:
    packages = "installs a package, which runs in the client; " if "npm" in provider else ""
    return f"{packages}gets the prompts, and its answers call tools"
