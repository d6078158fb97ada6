"""docs/workspaces.md names requests that the API has."""

import json
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[3] / "docs"
REQUESTS = sorted(
    set(re.findall(r"^api (GET|POST|PUT|PATCH|DELETE) +\"?([^\s?\"]+)", (DOCS / "workspaces.md").read_text(), re.M))
)


@pytest.mark.parametrize(("method", "path"), REQUESTS)
def test_a_documented_request_exists(method: str, path: str) -> None:
    paths = json.loads((DOCS / "openapi.json").read_text())["paths"]
    form = re.sub(r"\$\w+", "[^/]+", f"/api/v1{path}")
    known = [known for known in paths if re.fullmatch(form, re.sub(r"[{}]", "", known))]
    assert any(method.lower() in paths[each] for each in known), (method, path)


def test_there_are_documented_requests() -> None:
    assert len(REQUESTS) >= 14
