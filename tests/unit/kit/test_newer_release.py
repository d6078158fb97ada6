"""A deployment says when a newer release exists, if an operator wants to know."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opencode_cloud.kit import newer_release
from opencode_cloud.kit.newer_release import NewerRelease


class Site:
    """Answers in place of GitHub."""

    def __init__(self, status: int = 200, body: bytes = b"", error: Exception | None = None) -> None:
        self.answer = (status, body)
        self.error = error
        self.asked: list[str] = []

    def request(self, method: str, url: str, headers: Any, body: Any = None, *, longest: int) -> tuple[int, bytes]:
        self.asked.append(url)
        if self.error:
            raise self.error
        return self.answer


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(newer_release, "VERSION", "0.9.10")
    monkeypatch.setattr(newer_release.log, "count", found.append)
    return found


def _look(site: Site, url: str = "https://api.example.com/latest") -> int:
    connections: Any = site
    return NewerRelease(url, connections).look()


@pytest.mark.parametrize(
    ("tag", "newer"), [("v0.10.0", 1), ("0.9.11", 1), ("v0.9.10", 0), ("v0.9.9", 0), ("nightly", 0)]
)
def test_a_newer_version_is_counted(counted: list[str], tag: str, newer: int) -> None:
    assert _look(Site(body=json.dumps({"tag_name": tag, "body": "notes"}).encode())) == newer
    assert counted == ["NewerRelease"] * newer


@pytest.mark.parametrize(
    "site", [Site(404, b'{"tag_name": "v9.0.0"}'), Site(body=b"<html>"), Site(error=OSError("unreachable"))]
)
def test_no_answer_is_no_news_and_no_failure(counted: list[str], site: Site) -> None:
    assert _look(site) == 0
    assert counted == []


def test_nothing_is_asked_unless_an_address_is_named() -> None:
    site = Site()
    assert _look(site, url="") == 0
    assert site.asked == []
