"""The wall that import-linter cannot see, since functions are no package: a handler wires and does not decide."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

HANDLERS = sorted((Path(__file__).parents[2] / "functions").glob("*/handler.py"))


@pytest.mark.parametrize("path", HANDLERS, ids=lambda path: path.parent.name)
def test_a_handler_wires_our_library_and_decides_nothing(path: Path) -> None:
    tree = ast.parse(path.read_text())
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert {module.split(".")[0] for module in imported} <= {"opencode_cloud", "typing"}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.If | ast.For | ast.While | ast.Try | ast.Match)]
    assert len(path.read_text().splitlines()) <= 50


def test_every_function_has_a_handler() -> None:
    sharing = {"share", "live", "deliver", "snapshot", "purge"}
    console = {"identity", "console", "relay", "mail", "ledger", "operate", "github", "migrate"}
    gateway = {"gateway", "budgets"}
    assert {path.parent.name for path in HANDLERS} == sharing | console | gateway
