"""A public class name has one meaning in the code base, so that imports never rename one."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "opencode_cloud"
CORE = Path(__file__).parents[2] / "layers" / "core" / PACKAGE


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(CORE.rglob("*.py")):
        yield str(path.relative_to(CORE)), ast.parse(path.read_text())


def public_classes() -> dict[str, list[str]]:
    """Return the modules that define a class, by the class's name."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for module, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(module)
    return found


def test_a_public_class_name_is_defined_once() -> None:
    classes = public_classes()
    assert classes
    assert {name: where for name, where in classes.items() if len(where) > 1} == {}


def test_no_import_renames_a_class() -> None:
    classes = public_classes()
    renamed = [
        f"{module}:{node.lineno} {alias.name} as {alias.asname}"
        for module, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE)
        for alias in node.names
        if alias.asname and alias.name in classes
    ]
    assert renamed == []
