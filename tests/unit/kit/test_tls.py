"""The authorities that connections trust: read once, shared, and not by aiohttp's own contexts."""

from __future__ import annotations

import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from opencode_cloud.kit import tls

LIBRARY = Path(__file__).parents[3] / "layers" / "core"
PROGRAM = """
import ssl
from opencode_cloud.kit.async_http import aiohttp
from aiohttp import connector
assert connector._SSL_CONTEXT_VERIFIED.verify_mode is ssl.CERT_REQUIRED
assert connector._SSL_CONTEXT_VERIFIED.cert_store_stats()["x509"] == 0
assert "set_default_verify_paths" not in vars(ssl.SSLContext)
assert ssl.create_default_context().cert_store_stats()["x509"] > 0
"""


def test_all_connections_share_one_context_that_checks_name_and_authority() -> None:
    context = tls.trusting()
    assert context is tls.trusting()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_another_file_of_authorities_has_a_context_of_its_own(tmp_path: Path) -> None:
    empty = tmp_path / "none.pem"
    empty.write_text("")
    with pytest.raises(ssl.SSLError):
        tls.trusting(str(empty))


def test_the_import_of_aiohttp_reads_no_authorities_and_its_own_context_trusts_none() -> None:
    environment = {"PYTHONPATH": str(LIBRARY)}
    subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True)
