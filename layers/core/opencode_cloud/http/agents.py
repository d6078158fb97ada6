"""Describe the program behind a User-Agent."""

from __future__ import annotations

import re

UNKNOWN = "Unknown program"
"""The name of a program that does not say it."""

_BROWSERS = (
    ("Edge", re.compile(r"\bEdgA?/")),
    ("Opera", re.compile(r"\bOPR/")),
    ("Firefox", re.compile(r"\b(?:Firefox|FxiOS)/")),
    ("Chrome", re.compile(r"\b(?:Headless)?(?:Chrome|CriOS)/")),
    ("Safari", re.compile(r"\bSafari/")),
)
_SYSTEMS = (
    ("iPhone", re.compile("iPhone")),
    ("iPad", re.compile("iPad")),
    ("Android", re.compile("Android")),
    ("Windows", re.compile("Windows")),
    ("macOS", re.compile("Mac OS X|Macintosh")),
    ("Linux", re.compile("Linux|X11")),
)
_PRODUCT = re.compile(r"([A-Za-z][\w.-]{0,39})(?:/([\w.-]{1,40}))?")


def describe(user_agent: str) -> str:
    """Return a name such as "Firefox on Linux" or "opencode 1.18.33". Clients can send false names."""
    browser = next((name for name, pattern in _BROWSERS if pattern.search(user_agent)), "")
    system = next((name for name, pattern in _SYSTEMS if pattern.search(user_agent)), "")
    if browser:
        return f"{browser} on {system}" if system else browser
    match = _PRODUCT.match(user_agent)
    return " ".join(filter(None, match.groups())) if match else UNKNOWN
