"""Update of stacks: which updates CloudFormation refuses because stacks refer to each other.

Stacks are deployed producers first. When a producer is updated, its consumers are still the old ones.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

Templates = Mapping[str, Mapping[str, Any]]


def refused(before: Templates, after: Templates) -> list[str]:
    """Return the exports that an update takes away from stacks that still import them."""
    found: list[str] = []
    for stack, template in before.items():
        for name in sorted(_exports(template) - _exports(after.get(stack, {}))):
            users = [other for other, old in before.items() if name in _imports(old)]
            if users:
                found.append(f"{stack} loses {name}, which {' and '.join(users)} use")
    return found


def dangling(templates: Templates) -> list[str]:
    """Return the references of stacks to outputs that no stack has."""
    exported = {name for template in templates.values() for name in _exports(template)}
    found = [f"{stack} imports {name}" for stack, it in templates.items() for name in _imports(it) - exported]
    for stack, template in templates.items():
        for given in _arguments(template, "Fn::GetStackOutput"):
            producer = given["StackName"].rpartition("-")[2]
            if given["OutputName"] not in templates[producer].get("Outputs", {}):
                found.append(f"{stack} reads {producer}.{given['OutputName']}")
    return found


def _exports(template: Mapping[str, Any]) -> set[str]:
    return {_text(it["Export"]["Name"]) for it in template.get("Outputs", {}).values() if "Export" in it}


def _imports(template: Mapping[str, Any]) -> set[str]:
    return {_text(name) for name in _arguments(template, "Fn::ImportValue")}


def _arguments(value: Any, function: str) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key == function:
                yield inner
            yield from _arguments(inner, function)
    elif isinstance(value, list):
        for inner in value:
            yield from _arguments(inner, function)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
