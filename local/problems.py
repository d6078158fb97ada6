"""List the stable error codes from the library's source, each with its sentence."""

import ast
import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from inspect import getmembers, isclass
from pathlib import Path

from opencode_cloud.kit import errors
from opencode_cloud.kit.errors import ServiceError

STATUS: Mapping[str, HTTPStatus] = {
    name: kind.status for name, kind in getmembers(errors, isclass) if issubclass(kind, ServiceError)
}


_PLACEHOLDER = re.compile(r"%\(\w+\)s")


def problems(library: Path) -> dict[str, dict[str, str | int]]:
    """Return every code with its status and its sentence. Variable parts become an ellipsis."""
    by_code: dict[str, dict[str, str | int]] = {}
    for path in sorted(library.rglob("*.py")):
        for call in _raised(ast.parse(path.read_text())):
            code, kind = call.args[0], call.func
            if isinstance(code, ast.Constant) and isinstance(code.value, str) and isinstance(kind, ast.Name):
                sentence = _text(call.args[1]) if len(call.args) > 1 else ""
                entry = by_code.setdefault(code.value, {"status": int(STATUS[kind.id]), "detail": sentence})
                entry["detail"] = entry["detail"] or sentence
    by_code["internal_error"]["status"] = int(HTTPStatus.INTERNAL_SERVER_ERROR)
    return dict(sorted(by_code.items()))


def _raised(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in STATUS and node.args:
            yield node


def _text(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str() as text):
            return _PLACEHOLDER.sub("…", text)
        case ast.JoinedStr(values=parts):
            return "".join(_text(part) if isinstance(part, ast.Constant) else "…" for part in parts)
        case _:
            return ""
