import hashlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from infra import bytecode, packaging
from infra.stage import load
from tests.infra.synthesis import Synthesis

ROOT = Path(__file__).parents[2]


def _digest(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_hashes_are_of_content_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaging, "ROOT", tmp_path)
    source = tmp_path / "source"
    (source / "inner").mkdir(parents=True)
    (source / "inner" / "a.py").write_text("one")
    before = packaging.content_hash(source)
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "a.pyc").write_text("compiled")
    os.utime(source / "inner" / "a.py", (1, 1))
    assert packaging.content_hash(source) == before
    (source / "inner" / "a.py").write_text("two")
    assert packaging.content_hash(source) != before


def test_the_library_s_layer_holds_pages_and_no_leftovers(syntheses: Mapping[str, Synthesis]) -> None:
    (package,) = syntheses["dev"].folder.glob("asset.*/python/opencode_cloud")
    assert (package / "_web" / "templates").is_dir()
    assert (package / "_web" / "static").is_dir()
    assert [path.suffix for path in (package / "_web" / "languages").iterdir()] == [".json"]
    assert (package / "py.typed").exists()
    assert not [path for path in package.rglob("*.pyc") if ".cpython-313." not in path.name]


@pytest.mark.skipif(bytecode.interpreter("3.13") is None, reason="this machine has no Python 3.13")
def test_layers_hold_bytecode_that_needs_no_look_at_its_source(syntheses: Mapping[str, Synthesis]) -> None:
    for layer in syntheses["dev"].folder.glob("asset.*/python"):
        sources = [path for path in layer.rglob("*.py") if path.stat().st_size]
        assert sources
        for source in sources:
            compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"
            assert compiled.read_bytes()[4:8] == (1).to_bytes(4, "little"), source  # PEP 552: an unchecked hash


@pytest.mark.skipif(bytecode.interpreter("3.13") is None, reason="this machine has no Python 3.13")
def test_tracebacks_name_files_of_the_layer(tmp_path: Path) -> None:
    (tmp_path / "python").mkdir()
    (tmp_path / "python" / "a.py").write_text("def f(): ...")
    python = bytecode.interpreter("3.13")
    assert python
    bytecode.compile_code(tmp_path, python, "3.13")
    assert b"/opt/python/a.py" in (tmp_path / "python" / "__pycache__" / "a.cpython-313.pyc").read_bytes()


def test_code_that_is_no_python_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def")
    with pytest.raises(bytecode.BytecodeError, match="SyntaxError"):
        bytecode.compile_code(tmp_path, sys.executable, "3.13")


def test_a_machine_without_the_version_says_so_once_and_packages_sources(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bytecode, "interpreter", lambda _: None)
    bytecode._say_missing.cache_clear()  # pyright: ignore[reportPrivateUsage]
    assert [bytecode.compiler(load("dev", environ={})) for _ in range(2)] == [None, None]
    assert capsys.readouterr().err.count("uv python install 3.13") == 1


def test_the_emulator_s_layers_hold_no_bytecode() -> None:
    assert bytecode.compiler(load("local", environ={})) is None


def test_dependencies_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    target = packaging.platform_options(load("dev", environ={}))
    for name in ("first", "second"):
        packaging.install(tmp_path / name / "python", target, packaging.locked("core"))
    first, second = (_digest(tmp_path / name) for name in ("first", "second"))
    assert first == second
    assert any(name.endswith("aarch64-linux-gnu.so") for name in first)
    assert not any("__pycache__" in name for name in first)


def test_a_function_s_code_is_its_folder_alone(syntheses: Mapping[str, Synthesis]) -> None:
    handlers = [path for path in syntheses["dev"].folder.glob("asset.*") if (path / "handler.py").exists()]
    # The hub is a container. Only the local stage has a function of its name.
    assert len(handlers) == len(list((ROOT / "functions").glob("*/handler.py"))) - 1
    contents = sorted(sorted(file.name for file in path.iterdir()) for path in handlers)
    more = [["handler.py", "migrations"], ["handler.py", "run.sh"]]
    assert contents == [["handler.py"]] * (len(handlers) - 2) + more


def test_what_starts_the_gateway_may_be_executed(syntheses: Mapping[str, Synthesis]) -> None:
    (script,) = syntheses["dev"].folder.glob("asset.*/run.sh")
    assert os.access(script, os.X_OK)


@pytest.mark.parametrize(("name", "stage"), [("gateway", "contained"), ("hub", "hubbed")])
def test_docker_gets_what_the_container_copies_and_nothing_else(
    name: str, stage: str, request: pytest.FixtureRequest
) -> None:
    synthesis: Synthesis = request.getfixturevalue(stage)
    (context,) = (path.parents[1] for path in synthesis.folder.glob("asset.*/functions/Dockerfile"))
    copied = _copied((context / "functions/Dockerfile").read_text(), name)
    assert all((context / source).exists() for source in copied), copied
    files = [path.relative_to(context) for path in context.rglob("*") if path.is_file()]
    sent = [*copied, "functions/Dockerfile", f"functions/{name}", "layers/dependencies"]
    assert not [path for path in files if not any(path.is_relative_to(source) for source in sent)]
    assert not [path for path in files if "__pycache__" in path.parts]


def _copied(dockerfile: str, target: str) -> list[str]:
    """Return the sources that a build of `target` copies from its context."""
    copied: list[str] = []
    stage = ""
    for line in dockerfile.splitlines():
        if line.startswith("FROM"):
            stage = line.split()[-1]
        elif line.startswith("COPY") and "--from" not in line and stage in ("libraries", "server", target):
            copied += line.replace("${FUNCTION}", target).split()[1:-1]
    return copied


def test_the_console_s_layer_repeats_nothing_of_the_one_beneath() -> None:
    core, console = packaging.locked("core"), packaging.locked("console", "core")
    assert "cryptography==" in core
    assert "cryptography==" not in console
    assert "sqlalchemy==" in console
    assert "# via" not in console


def test_what_is_missing_is_named() -> None:
    with pytest.raises(packaging.PackagingError, match="functions/nothing"):
        packaging.function("nothing")


UNZIPPED = 250 * 1024 * 1024
"""Lambda's limit in bytes for a function with all its layers."""

ADAPTER = 16 * 1024 * 1024
"""Upper estimate of the size of the Web Adapter's layer in bytes. Tests cannot download that layer."""


def test_every_function_fits_into_lambda(syntheses: Mapping[str, Synthesis]) -> None:
    dev = syntheses["dev"]
    for stack in ("sharing", "console", "gateway"):
        layers = dev.resources(stack, "AWS::Lambda::LayerVersion")
        sizes = {name: _size(dev, layer["Properties"]["Content"]["S3Key"]) for name, layer in layers.items()}
        for function in dev.properties(stack, "AWS::Lambda::Function"):
            ours = [sizes[layer["Ref"]] for layer in function["Layers"] if "Ref" in layer]
            adapter = ADAPTER * (len(function["Layers"]) - len(ours))
            assert sum(ours) + adapter + _size(dev, function["Code"]["S3Key"]) < UNZIPPED
            assert len(function["Layers"]) <= 5


def _size(synthesis: Synthesis, key: str) -> int:
    folder = synthesis.folder / f"asset.{key.removesuffix('.zip')}"
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
