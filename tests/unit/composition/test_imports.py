"""Functions that people wait for start without libraries that they do not need (docs/decisions/038)."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.unit.composition.test_handlers import BESIDE, CLIENTS, handler_of
from tests.unit.composition.test_settings import ROOT, environment_of, settings_of

PROGRAM = """
import gc, importlib.util, json, sys
spec = importlib.util.spec_from_file_location("started", sys.argv[1])
spec.loader.exec_module(importlib.util.module_from_spec(spec))
assert gc.isenabled()
print(json.dumps([*sys.modules]))
"""
SLOW = {
    "asyncio",
    "aws_lambda_powertools",
    "boto3",
    "botocore",
    "concurrent.futures",
    "cryptography",
    "email",
    "gzip",
    "http.client",
    "http.cookies",
    "importlib.metadata",
    "jinja2",
    "pydantic",
    "re2",
    "sqlalchemy",
    "ssl",
    "typing_extensions",
    "ulid",
    "urllib.request",
    "zoneinfo",
}
"""Modules that take milliseconds to import, and packages of such modules."""
SYNC = ("share", "live", "deliver", "snapshot", "purge")
MOST_MODULES = {"share": 248, "live": 237, "deliver": 228, "snapshot": 197, "purge": 216, "identity": 305}
"""Bounds above the present numbers, so that a new library is noticed."""


def modules_of(function: str, **variables: str) -> set[str]:
    """Return the modules that a process has when its handler is ready."""
    environment = {**CLIENTS, **environment_of(settings_of(function)), **BESIDE, **variables}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(handler_of(function))],
        env={**environment, "PATH": "", "PYTHONPATH": str(ROOT / "layers" / "core")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("function", MOST_MODULES)
def test_a_lean_function_loads_no_slow_module(function: str) -> None:
    loaded = modules_of(function)
    assert loaded & SLOW == set()
    assert len(loaded) <= MOST_MODULES[function]


def test_the_gateway_loads_the_client_and_the_frame_of_its_calls_and_no_other_slow_module() -> None:
    loaded = modules_of("gateway")
    needed = {"asyncio", "concurrent.futures", "email", "http.client", "http.cookies", "ssl", "urllib.request"}
    assert loaded & SLOW == {*needed, "typing_extensions"}
    assert loaded & {"tokenizers", "urllib3"} == set()
    assert len(loaded) <= 591


@pytest.mark.parametrize("kind", ["snap-start", "on-demand"])
def test_the_console_loads_its_api_and_its_pages_ahead_or_at_their_first_request(kind: str) -> None:
    loaded = modules_of("console", AWS_LAMBDA_INITIALIZATION_TYPE=kind)
    apps = {"opencode_cloud.composition.console_api", "opencode_cloud.composition.console_pages"}
    assert loaded & apps == (apps if kind == "snap-start" else set())
    rare = {
        "authlib.integrations",
        "botocore.exceptions",
        "dns",
        "email_validator",
        "jsonschema",
        "opencode_cloud.kit.pdf",
        "reportlab",
        "requests",
        "urllib3",
    }
    assert loaded & rare == set()


def test_payments_start_without_the_library_and_the_fonts_of_documents() -> None:
    loaded = modules_of("payments")
    assert loaded & {"PIL", "fontpkg_fira_sans", "opencode_cloud.kit.pdf", "reportlab"} == set()


@pytest.mark.parametrize("kind", ["snap-start", "provisioned-concurrency", "on-demand"])
def test_a_function_that_starts_ahead_imports_what_readers_and_publishers_need(kind: str) -> None:
    loaded = modules_of("share", AWS_LAMBDA_INITIALIZATION_TYPE=kind)
    rare = {"jinja2", "opencode_cloud.sharing.rendering.markdown", "cryptography.hazmat.primitives.ciphers.aead", "re2"}
    assert loaded & rare == (rare if kind != "on-demand" else set())


@pytest.mark.parametrize("function", SYNC)
def test_the_sync_plane_defines_no_dataclass(function: str) -> None:
    assert "dataclasses" not in modules_of(function)


BEYOND_THE_CORE = {
    "alembic",
    "authlib",
    "email_validator",
    "idna",
    "jsonschema",
    "mrml",
    "pymysql",
    "requests",
    "sqlalchemy",
}
"""Packages of the layer `console`, which the function `share` does not have (layers/dependencies)."""


def test_the_pages_of_shares_need_only_libraries_that_their_function_has() -> None:
    program = (
        "import importlib, json, sys; importlib.import_module('opencode_cloud.composition.share_pages'); "
        "print(json.dumps([*sys.modules]))"
    )
    environment = {**CLIENTS, "PATH": "", "PYTHONPATH": str(ROOT / "layers" / "core")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert {name.partition(".")[0] for name in json.loads(done.stdout)} & BEYOND_THE_CORE == set()
