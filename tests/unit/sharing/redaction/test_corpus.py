"""Recall and false alarms of redaction, on made-up secrets and on ordinary code and prose."""

from __future__ import annotations

import hashlib
import json
import sysconfig
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from opencode_cloud.sharing.models import Item
from opencode_cloud.sharing.redaction.redactor import Redactor
from tests.unit.sharing.redaction.ordinary import generated
from tests.unit.sharing.redaction.secrets import ENCLOSED, FORMATS, NAMED, planted, shapes

ROOT = Path(__file__).parents[4]
RECALL = 0.99
FALSE_ALARMS_PER_MB = 1.0
MEGABYTE = 1_000_000
SOURCES = {
    ROOT / "docs": ("*.md",),
    ROOT / "layers": ("*.py",),
    Path(sysconfig.get_path("stdlib")): ("*.py",),
    Path(sysconfig.get_path("purelib")): ("*.py", "*.pyi", "*.md", "*.json"),
    ROOT / "node_modules": ("*.js", "*.mjs", "*.ts", "*.md", "*.json", "*.css"),
}
LARGEST_FILE = 400_000
LEFT_OUT = ("/test/", "/tests/", "/testing/", "redaction", "concealment", "/botocore/data/")
"""Folders of tests, which hold true secrets of made-up services, and the rules themselves."""
redactor = Redactor(b"key")


def part(text: str) -> Item:
    return Item(key="part/msg_1/prt_1", type="part", data=json.dumps({"text": text}).encode())


def missed(rounds: int) -> tuple[Counter[str], int]:
    """Return the formats of which a secret was left in an item, and the number of all tried."""
    left: Counter[str] = Counter()
    tried = 0
    for number, each in enumerate(planted(1, rounds)):
        forms = shapes(each.text)
        kind, data = [*forms.values()][number % len(forms)]
        raw = json.dumps(data, ensure_ascii=number % 2 == 0)
        raw = raw.replace("/", "\\/") if number % 3 == 0 else raw
        redacted = redactor.redact(Item(key="part/msg_1/prt_1", type=kind, data=raw.encode()))
        tried += 1
        plain = json.dumps(json.loads(redacted.item.data)).replace("\\", "")
        if any(line in plain for line in each.secret.replace("\\", "").split("\n") if not line.startswith("-----")):
            left[each.format] += 1
    return left, tried


def test_most_secrets_of_many_formats_are_found() -> None:
    assert len(FORMATS) + len(NAMED) + len(ENCLOSED) >= 30
    left, tried = missed(12)
    assert tried >= 500
    assert left.total() <= tried * (1 - RECALL), left


@pytest.mark.slow
def test_of_thousands_of_secrets_one_in_a_hundred_may_be_missed() -> None:
    left, tried = missed(200)
    assert left.total() <= tried * (1 - RECALL), left


def ordinary(megabytes: float) -> Iterator[str]:
    """Yield ordinary texts of the packages that are installed here, a part of each kind."""
    left = dict.fromkeys(SOURCES, megabytes * MEGABYTE / len(SOURCES))
    for root, patterns in SOURCES.items():
        files = [path for pattern in patterns for path in root.rglob(pattern) if path.is_file()]
        # A fixed order that mixes packages, so that a small part is not of one package only.
        for path in sorted(files, key=lambda path: hashlib.sha256(str(path.relative_to(root)).encode()).digest()):
            if left[root] <= 0:
                break
            if path.stat().st_size > LARGEST_FILE or any(name in f"/{path.relative_to(root)}" for name in LEFT_OUT):
                continue
            text = path.read_text("utf-8", "replace")
            left[root] -= len(text)
            yield text


def false_alarms(texts: Iterator[str]) -> tuple[list[str], float]:
    """Return what was found in ordinary texts, and their size in MB."""
    alarms: list[str] = []
    size = 0
    for text in texts:
        size += len(text)
        redacted = redactor.redact(part(text))
        alarms += [f"{finding.kind} ({finding.count})" for finding in redacted.findings]
    return alarms, size / MEGABYTE


def test_ordinary_code_and_prose_stay_as_they_are() -> None:
    alarms, megabytes = false_alarms(ordinary(2.0))
    assert megabytes > 1
    assert len(alarms) < FALSE_ALARMS_PER_MB * megabytes, alarms


def test_hashes_identifiers_and_lock_files_stay_as_they_are() -> None:
    alarms, megabytes = false_alarms(generated(1, 1.0))
    assert len(alarms) < FALSE_ALARMS_PER_MB * megabytes, alarms


@pytest.mark.slow
def test_twenty_megabytes_of_code_and_prose_stay_as_they_are() -> None:
    alarms, megabytes = false_alarms(ordinary(24.0))
    assert megabytes > 15
    assert len(alarms) < FALSE_ALARMS_PER_MB * megabytes, alarms
    more, size = false_alarms(generated(2, 5.0))
    assert len(more) < FALSE_ALARMS_PER_MB * size, more
