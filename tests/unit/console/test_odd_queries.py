"""Odd values of parameters of the API's lists are errors of the caller, and no internal errors."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from opencode_cloud.contracts.permissions import Role
from opencode_cloud.kit.pagination import encode_cursor
from tests.unit.console.office import Office

ROOT = Path(__file__).resolve().parents[3]
WORKSPACE = "/api/v1/workspaces/{workspace}"
PATHS: dict[str, dict[str, Any]] = json.loads((ROOT / "docs" / "openapi.json").read_text())["paths"]
ELSEWHERE = re.compile(r"/(auto-reload|invoices|payment-portal|plan|refunds|shares|top-ups)\b")
"""Operations of the functions `payments` and `share`."""
LISTS = sorted(
    path for path, item in PATHS.items() if path.startswith(WORKSPACE) and "get" in item and not ELSEWHERE.search(path)
)
TIMES = ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59")
VALUES = (*TIMES, "9999-12", "\x00", "9" * 24)
CURSORS = [
    "é",
    *(encode_cursor((time, "x")) for time in TIMES),
    *(encode_cursor((value,)) for value in (10**30, "a\x00b")),
    encode_cursor((10**30, "x")),
]


def test_no_odd_parameter_is_an_internal_error(office: Office) -> None:
    browser = office.browser(Role.OWNER)
    failed: list[tuple[str, str, str]] = []
    for path in LISTS:
        parameters = [each for each in PATHS[path]["get"].get("parameters", []) if each["in"] == "query"]
        required = {each["name"]: "2026-01" for each in parameters if each.get("required")}
        real = re.sub(r"\{\w+\}", "1", path.replace("{workspace}", office.workspace))
        for parameter in parameters:
            name = parameter["name"]
            for value in CURSORS if name == "cursor" else VALUES:
                answer = browser.go(f"{real}?{urlencode({**required, name: value})}")
                failed += [(path, name, value)] if answer.status_code >= 500 else []
    assert failed == []
