"""Processor time of redaction, by the text and by the size of an item (docs/redaction.md, "Cost")."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.summary import percentile
from opencode_cloud.contracts.access import RedactionPattern
from opencode_cloud.sharing.models import Item
from opencode_cloud.sharing.redaction.redactor import Redactor
from tests.unit.sharing.redaction.ordinary import generated
from tests.unit.sharing.redaction.secrets import planted

Json = dict[str, Any]
ROOT = Path(__file__).parents[1]
SIZES = (1_000, 20_000, 100_000, 1_000_000)
TARGET_MS = 10.0
"""Target of 100 KB, in milliseconds."""
OWN_PATTERNS = 20


def measure(repetitions: int = 20) -> Json:
    """Return milliseconds of processor time for 100 KB of published JSON, and of the first use in a process."""
    began = time.thread_time()
    Redactor(b"key").redact(_item("token = value"))
    first = (time.thread_time() - began) * 1000
    texts = _texts()
    own = [RedactionPattern(f"own-{number}", f"customer{number}-[0-9]{{8}}") for number in range(OWN_PATTERNS)]
    rows = [
        {"text": name, "bytes": size, **_timed(Redactor(b"key"), text, size, repetitions)}
        for name, text in texts.items()
        for size in SIZES
    ]
    code = next(iter(texts.values()))
    rows.append(
        {
            "text": f"code, {OWN_PATTERNS} own patterns",
            "bytes": 100_000,
            **_timed(Redactor(b"key", own), code, 100_000, repetitions),
        }
    )
    return {"first_ms": round(first, 2), "target_ms": TARGET_MS, "rows": rows}


def _texts() -> Mapping[str, str]:
    def files(folder: str, pattern: str) -> str:
        return "\n".join(path.read_text() for path in sorted((ROOT / folder).rglob(pattern)))

    return {
        "code": files("layers/core/opencode_cloud", "*.py"),
        "prose": files("docs", "*.md"),
        "hashes and logs": "\n".join(generated(1, 1.2)),
        "a secret in every 5 KB": _with_secrets(files("layers/core/opencode_cloud/gateway", "*.py")),
    }


def _with_secrets(text: str) -> str:
    secrets = [each.text for each in planted(1, 4)]
    return "\n".join(
        text[start : start + 5_000] + "\n" + secrets[number % len(secrets)]
        for number, start in enumerate(range(0, len(text), 5_000))
    )


def _timed(redactor: Redactor, text: str, size: int, repetitions: int) -> Json:
    """Return milliseconds for 100 KB of items of about ``size`` bytes."""
    text = (text * (size // len(text) + 1)) if size > len(text) else text
    pieces = [text[start : start + size] for start in range(0, min(len(text), 1_000_000) - size + 1, size)]
    items = [_item(piece) for piece in pieces]
    published = sum(len(item.data) for item in items)
    found = sum(len(redactor.redact(item).findings) for item in items)
    times = [_spent(lambda: [redactor.redact(item) for item in items]) for _ in range(repetitions)]
    each = [spent * 1000 * 100_000 / published for spent in times]
    return {"p50_ms": round(percentile(each, 50), 3), "p99_ms": round(percentile(each, 99), 3), "found": found}


def _spent(work: Callable[[], object]) -> float:
    began = time.thread_time()
    work()
    return time.thread_time() - began


def _item(text: str) -> Item:
    return Item(key="part/msg_1/prt_1", type="part", data=json.dumps({"text": text}).encode())
