"""Names of tools: coding agents spell the same tool in different ways, and a rule about a tool means all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

SEPARATOR = "__"
"""Joins a namespace and a name, as clients do for tools of MCP servers."""

FAMILIES = (
    ("bash", "shell", "local_shell", "shell_command", "exec_command", "run_shell_command"),
    ("edit", "multi_edit", "notebook_edit", "str_replace", "str_replace_editor", "str_replace_based_edit_tool"),
    ("write", "write_file", "create_file"),
    ("patch", "apply_patch"),
    ("read", "read_file"),
    ("list", "ls", "list_dir", "list_directory"),
    ("glob", "find_files"),
    ("grep", "grep_files", "search_file_content"),
    ("task", "subagent", "agent"),
    ("todowrite", "todo_write"),
    ("webfetch", "web_fetch"),
    ("websearch", "web_search"),
)
"""Each line names one tool of opencode, and other spellings of it: by OpenCode 2, Claude Code, Codex, Gemini CLI."""
IMPLIED: Mapping[str, str] = {"write": "edit", "patch": "edit"}
"""Tools that a rule about another tool includes: opencode's permission `edit` is about all changes of files."""


class ToolName(NamedTuple):
    """The name of a tool, and the namespace in which it is offered; empty: none."""

    name: str
    namespace: str = ""

    @property
    def whole(self) -> str:
        """Return the name with its namespace. It is what a model of another format sees."""
        if not self.namespace:
            return self.name
        return f"{self.namespace.removesuffix(SEPARATOR)}{SEPARATOR}{self.name}"


def _key(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


_SPELLINGS: Mapping[str, tuple[str, ...]] = {
    _key(name): (*family, *next((other for other in FAMILIES if other[0] == IMPLIED.get(family[0])), ()))
    for family in FAMILIES
    for name in family
}


def spellings(name: str) -> tuple[str, ...]:
    """Return all names, in lower case, by which a rule may mean the tool ``name``."""
    return (name.lower(), *_SPELLINGS.get(_key(name), ()))
