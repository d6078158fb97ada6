"""Text that compresses like shared sessions: pieces of this repository's own documentation."""

from __future__ import annotations

from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_SOURCES = ("docs", "layers/core/opencode_cloud", "clients/python")


@cache
def corpus() -> str:
    """Return the documentation and sources as one ASCII text, without characters that JSON escapes."""
    files = sorted(
        path for source in _SOURCES for suffix in ("md", "py") for path in (ROOT / source).rglob(f"*.{suffix}")
    )
    text = " ".join(file.read_text().replace("\\", "").replace('"', "'") for file in files)
    return " ".join(text.encode("ascii", "ignore").decode().split())


def prose(length: int, position: int) -> str:
    """Return ``length`` characters; consecutive ``position`` values give consecutive, different pieces."""
    text = corpus()
    start = position * length % len(text)
    piece = text[start : start + length]
    while len(piece) < length:  # past the end: from the beginning
        piece += text[: length - len(piece)]
    return piece
