"""No test fails because a machine is slow: an expected event has `PATIENCE`, unless a test expects it to be missing."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio import client as asynchronous
from websockets.sync import client as synchronous

from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path for path in (ROOT / "tests").rglob("*.py") if "node_modules" not in path.parts)
KEYWORDS = {"timeout", "open_timeout", "connect_seconds", "read_seconds"}
UNTIL = ("until", "until_async", "until_awaited", "eventually", "ended")
POSITIONS = {"wait_for": 1, "timeout": 0, "result": 0, "wait": 0, "join": 0, **dict.fromkeys(UNTIL, 1)}
"""The argument of a function or method that is a deadline. A literal below a second is a pause, or expected to pass."""
EXPIRIES = ("TimeoutError", "TimeoutExpired")


def deadlines(path: Path) -> Iterator[tuple[int, float]]:
    """Yield the line and the seconds of each literal deadline whose end a test does not expect."""
    tree = ast.parse(path.read_text())
    expected = {line for node in ast.walk(tree) if _expects(node) for line in _lines(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.lineno not in expected:
            for value in _limits(node):
                if isinstance(value, ast.Constant) and isinstance(value.value, int | float):
                    yield node.lineno, value.value


def _limits(call: ast.Call) -> Iterator[ast.expr]:
    yield from (keyword.value for keyword in call.keywords if keyword.arg in KEYWORDS)
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in POSITIONS and len(call.args) == POSITIONS[name] + 1:
        yield call.args[-1]


def _expects(node: ast.AST) -> bool:
    """Tell whether the end of a deadline in this block is no failure."""
    if isinstance(node, ast.With | ast.AsyncWith):
        return any(name in ast.unparse(item) for item in node.items for name in EXPIRIES)
    if isinstance(node, ast.Try):
        caught = " ".join(ast.unparse(each.type) for each in node.handlers if each.type)
        return any(name in caught for name in EXPIRIES)
    return False


def _lines(node: ast.AST) -> range:
    assert isinstance(node, ast.stmt)
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_deadlines_suit_a_slow_machine(path: Path) -> None:
    assert [found for found in deadlines(path) if 1 <= found[1] < PATIENCE] == []


def test_deadlines_are_found(tmp_path: Path) -> None:
    path = tmp_path / "example.py"
    path.write_text(
        "socket.recv(timeout=5)\n"
        "future.result(10)\n"
        "with raises(TimeoutError):\n    future.result(10)\n"
        "await wait_for(event, 7)\n"
        "until(probe, 8)\n"
    )
    assert sorted(deadlines(path)) == [(1, 5), (2, 10), (5, 7), (6, 8)]


def test_libraries_wait_as_long() -> None:
    assert httpx.Client().timeout.read == PATIENCE
    for connect in (synchronous.connect, asynchronous.connect):
        assert inspect.signature(connect).parameters["open_timeout"].default == PATIENCE
