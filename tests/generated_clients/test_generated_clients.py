"""Clients that two common tools generate from docs/openapi.json have every operation, compile, and work."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.stack import LocalStack
from tests.integration.people import People
from tests.integration.tokens import access_token

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DOCUMENT = ROOT / "docs" / "openapi.json"
TOOLS = HERE / "node_modules" / ".bin"
PYTHON_TOOLS = ROOT / ".tools" / "openapi-client" / "bin"
PACKAGE = "opencode_api"


def operations() -> Iterator[dict[str, Any]]:
    for item in json.loads(DOCUMENT.read_text())["paths"].values():
        yield from item.values()


def run(*command: str | Path, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        [str(each) for each in command],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def python_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the generated Python package."""
    tool = shutil.which("openapi-python-client", path=f"{PYTHON_TOOLS}{os.pathsep}{os.environ['PATH']}")
    if tool is None:
        pytest.skip("openapi-python-client is not installed: `make clients`")
    folder = tmp_path_factory.mktemp("python")
    settings = ("--config", HERE / "generator.yml", "--meta", "none", "--output-path", folder / PACKAGE)
    said = run(tool, "generate", "--path", DOCUMENT, *settings, folder=folder)
    assert "WARNING" not in said.upper(), said
    return folder


@pytest.fixture(scope="module")
def typescript_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the generated types and the program that uses them."""
    if not (TOOLS / "openapi-typescript").exists():
        pytest.skip("openapi-typescript is not installed: `make clients`")
    folder = tmp_path_factory.mktemp("typescript")
    for name in ("five.ts", "package.json", "tsconfig.json"):
        shutil.copy(HERE / name, folder)
    (folder / "node_modules").symlink_to(HERE / "node_modules")
    run(TOOLS / "openapi-typescript", DOCUMENT, "--output", folder / "api.ts", folder=folder)
    return folder


def test_the_python_client_has_every_operation_and_every_answer(python_client: Path) -> None:
    for operation in operations():
        tag = operation["tags"][0].lower().replace(" ", "_")
        module = python_client / PACKAGE / "api" / tag / f"{operation['operationId']}.py"
        assert module.exists(), operation["operationId"]
        source = module.read_text()
        for status, answer in operation["responses"].items():
            if status.startswith("2") and answer.get("content"):
                assert f"response_{status} = " in source, f"{operation['operationId']} loses its answer {status}"


def test_the_python_client_can_be_imported_as_a_whole(python_client: Path) -> None:
    program = f"""
import importlib, pkgutil, {PACKAGE} as package
for module in pkgutil.walk_packages(package.__path__, "{PACKAGE}."):
    importlib.import_module(module.name)
"""
    run(sys.executable, "-c", program, folder=python_client, PYTHONPATH=str(python_client))


def test_the_typescript_client_has_every_operation_and_compiles(typescript_client: Path) -> None:
    source = (typescript_client / "api.ts").read_text()
    known = set(re.findall(r"^    (\w+): \{$", source[source.index("export interface operations") :], re.M))
    assert {operation["operationId"] for operation in operations()} <= known
    run(TOOLS / "tsc", "--project", typescript_client, folder=typescript_client)


def check(stack: LocalStack, program: list[str | Path], folder: Path) -> None:
    """Run a program with a new person's workspace, and look at its answers."""
    owner = People(stack).somebody()
    workspace = owner.found("Typed")
    said = run(
        *program, stack.url, access_token(stack, owner), workspace, folder=folder, PYTHONPATH=str(folder), NO_PROXY="*"
    )
    answers = json.loads(said)
    assert answers["workspace"] == "Typed"
    assert answers["secret"].startswith("oc_sk_")
    assert answers["narrowed"] == "narrowed"
    assert answers["listed"] == ["narrowed"]
    assert "key.created" in answers["exported"]


def test_five_operations_work_in_python(stack: LocalStack, python_client: Path) -> None:
    check(stack, [sys.executable, HERE / "five.py"], python_client)


def test_five_operations_work_in_typescript(stack: LocalStack, typescript_client: Path) -> None:
    run(TOOLS / "tsc", "--project", typescript_client, folder=typescript_client)
    check(stack, ["node", typescript_client / "five.js"], typescript_client)
