"""Tokens are counted as the whole library counts them, without its tables for decoding."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from opencode_cloud.kit import bpe
from tests.unit.composition.test_settings import ROOT

TEXTS = [
    "",
    "hello world",
    "  \n\n\t x",
    "<|endoftext|>",
    "漢字とかな",
    "🙂🙂🏽",
    "def f(x):\n    return x * 2\n" * 40,
    "a" * 3000,
]
PROGRAM = """
import json, sys
import bpe_openai
encoding = bpe_openai.get_encoding("o200k_base")
print(json.dumps([len(encoding.encode_ordinary(text)) for text in json.load(sys.stdin)]))
"""


def test_counts_are_those_of_the_whole_library() -> None:
    texts = [*TEXTS, "a\ud800b"]
    # In a process of its own, because the whole library takes 130 MB.
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=json.dumps(texts), capture_output=True, text=True, check=True
    )
    assert [bpe.count(text, "o200k_base") for text in texts] == json.loads(done.stdout)


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(ValueError, match="p50k_base"):
        bpe.count("x", "p50k_base")


def test_only_the_binding_is_imported_and_the_library_can_follow() -> None:
    program = (
        "import json, sys; from opencode_cloud.kit import bpe; bpe.count('x', 'cl100k_base'); "
        "print(json.dumps([name for name in sys.modules if name.startswith('bpe_openai')])); "
        "import bpe_openai; assert bpe_openai.get_encoding('cl100k_base').encode_ordinary('x')"
    )
    environment = {"PATH": "", "PYTHONPATH": str(ROOT / "layers" / "core")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["bpe_openai._bindings"]
