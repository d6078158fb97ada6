"""The walls between layers and features. import-linter finds all kinds of forbidden imports except two.

Functions are not a package, so a test here reads handlers. `kit` must not use words of the product, also in texts.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HANDLERS = sorted((ROOT / "functions").glob("*/handler.py"))
LIBRARY = Path("layers") / "core" / "opencode_cloud"
LAYERS, ROOMS = "Layers: each imports only what is below it", "No feature imports a room that is another's own"
RULES = "Rules know neither AWS nor HTTP"
FORBIDDEN = [
    (LAYERS, "contracts/actor.py", "opencode_cloud.budgets.models"),
    (LAYERS, "kit/clock.py", "opencode_cloud.contracts.actor"),
    (LAYERS, "schema/keys.py", "opencode_cloud.access.models"),
    (LAYERS, "access/models.py", "opencode_cloud.http.gate"),
    (LAYERS, "http/gate.py", "opencode_cloud.workspaces.models"),
    (LAYERS, "keys/models.py", "opencode_cloud.console.app"),
    (LAYERS, "sharing/models.py", "opencode_cloud.composition.control_plane"),
    (LAYERS, "operators/service.py", "opencode_cloud.console.app"),
    (LAYERS, "budgets/service/balance.py", "opencode_cloud.keys.service"),  # keys import budgets: a cycle
    (LAYERS, "new_feature.py", "opencode_cloud.kit.clock"),
    (ROOMS, "console/keys.py", "opencode_cloud.keys.routes.keys"),
    (ROOMS, "keys/service/keys.py", "opencode_cloud.budgets.store.budgets"),
    (ROOMS, "identity/pages.py", "opencode_cloud.workspaces.pages"),
    (ROOMS, "usage/stream.py", "opencode_cloud.budgets.stream"),
    (ROOMS, "usage/deliveries.py", "opencode_cloud.audit.deliveries"),
    (RULES, "sharing/service/owning.py", "boto3"),
    (RULES, "keys/service/keys.py", "opencode_cloud.http.requests"),
    (RULES, "budgets/service/balance.py", "opencode_cloud.budgets.routes.budgets"),
    ("boto3 and SQL only in stores and the kit", "github/api.py", "sqlalchemy"),
    ("The library knows neither its infrastructure nor its stages", "mail/preview.py", "local"),
    ("Infrastructure does not run the code it deploys", "../../../infra/stage.py", "opencode_cloud.kit.clock"),
]
"""Contracts of import-linter, each with a file and an import in it that the contract forbids."""

WORDS_OF_THE_PRODUCT = (
    "workspace, workspaces, membership, memberships, invitation, invitations, budget, budgets, catalogue, sharing, "
    "pseudonym, outbox, operator, operators, console, login, tenant, permission, permissions, policies"
)


@pytest.mark.parametrize("path", HANDLERS, ids=lambda path: path.parent.name)
def test_a_handler_wires_our_library_and_decides_nothing(path: Path) -> None:
    tree = ast.parse(path.read_text())
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert {module.split(".")[0] for module in imported} <= {"opencode_cloud", "pathlib"}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.If | ast.For | ast.While | ast.Try | ast.Match)]
    assert len(path.read_text().splitlines()) <= 12


def test_every_function_has_a_handler() -> None:
    sharing = {"share", "live", "deliver", "snapshot", "purge", "hub"}
    console = {"identity", "console", "relay", "mail", "ledger", "operate", "github", "payments", "migrate"}
    gateway = {"gateway", "budgets"}
    assert {path.parent.name for path in HANDLERS} == sharing | console | gateway


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the files that import-linter reads."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for part in (LIBRARY, Path("infra"), Path("local")):
        shutil.copytree(ROOT / part, folder / part, ignore=lambda _, names: [n for n in names if n == "__pycache__"])
    return folder


def broken(folder: Path) -> list[str]:
    """Return the names of the contracts that import-linter finds broken."""
    linter = Path(sys.executable).with_name("lint-imports")
    path = {**os.environ, "PYTHONPATH": str(folder / "layers" / "core"), "COLUMNS": "200"}
    done = subprocess.run([linter, "--no-logo"], cwd=folder, env=path, capture_output=True, text=True, check=False)
    names = re.findall(r"^(.+?) BROKEN", done.stdout, re.MULTILINE)
    assert (done.returncode == 0) == (not names), done.stdout + done.stderr
    return names


def test_the_imports_of_the_library_are_allowed(copy: Path) -> None:
    assert broken(copy) == []


QUICK = {contract: number for number, (contract, _, _) in enumerate(FORBIDDEN)}
"""One import of each contract, for `make test`: a search takes over a second. The others belong to the slow tests."""


@pytest.mark.parametrize(
    ("contract", "file", "module"),
    [
        pytest.param(*forbidden, marks=[] if QUICK[forbidden[0]] == number else pytest.mark.slow)
        for number, forbidden in enumerate(FORBIDDEN)
    ],
    ids=lambda value: value.partition(":")[0],
)
def test_a_forbidden_import_is_found(copy: Path, contract: str, file: str, module: str) -> None:
    path = copy / LIBRARY / file
    before = path.read_text() if path.exists() else None
    path.write_text(f"{before or ''}\nimport {module}\n")
    try:
        assert contract in broken(copy)
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before)


@pytest.mark.parametrize("path", sorted((ROOT / LIBRARY / "kit").rglob("*.py")), ids=lambda path: path.stem)
def test_the_kit_uses_no_word_of_the_product(path: Path) -> None:
    """The test reads names, texts and comments. `_` and capital letters separate the words of a name."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", path.read_text()).lower()
    assert sorted(set(re.findall(r"[a-z]+", text)) & set(WORDS_OF_THE_PRODUCT.split(", "))) == []


READERS = {
    "kit/aws_api/connections.py",
    "kit/aws_api/credentials.py",
    "kit/aws_api/endpoints.py",
    "kit/log.py",
    "kit/settings.py",
    "kit/starting.py",
    "operators/command.py",
}
"""Modules that may read the environment: settings of functions, variables of AWS's tools, and a command line."""


def test_no_feature_reads_the_environment() -> None:
    library = ROOT / LIBRARY
    readers = {
        str(path.relative_to(library))
        for path in library.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    }
    assert readers == READERS


def test_no_module_of_the_library_has_the_name_of_one_of_the_standard_library() -> None:
    paths = (Path(__file__).parents[2] / "layers" / "core" / "opencode_cloud").rglob("*.py")
    names = {path.parent.name if path.name == "__init__.py" else path.stem for path in paths}
    # `opencode_cloud.http` is the layer of HTTP. Its name is that of the protocol, and every import of it is absolute.
    assert names & (sys.stdlib_module_names - {"__main__", "http"}) == set()
