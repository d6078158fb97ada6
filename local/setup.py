"""Build everything a checkout needs to run: `.venv`, `.tools/ministack` and `node_modules`.

Run as a script by whatever `python3` the machine has, before any package is installed: the standard library only.
Each step is skipped while the lock files it was built from are unchanged, so a second run takes milliseconds. An
environment that is a link belongs to another checkout, and is left as it is.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import List, NoReturn, Sequence

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
NODE_MODULES = ROOT / "node_modules"
CLIENTS = ROOT / "tests" / "clients"
"""The npm packages that only the slow tests need."""
AGENTS = ROOT / "tests" / "agents"
"""The agents of other makers that only the slow tests need, as npm packages."""
GENERATORS = ROOT / "tests" / "generated_clients"
"""The generator of TypeScript clients of our API, as npm packages; that of Python clients is in `requirements`."""
PYTHON_AGENTS = ("aider", "llm")
"""Those in Python: their lists are in `requirements`, their environments in `.tools`."""
OLDEST_PYTHON = (3, 11)
OLDEST_NODE = 20
SEARCH_PATH = ("layers/core", "clients/connect/src", "clients/python/src")
"""Our own packages, put on the environment's path instead of being installed: an edit takes effect at once."""


def main() -> None:
    """Bring the three environments up to date, and with the argument `clients` also the clients of the slow tests."""
    if sys.version_info < OLDEST_PYTHON:
        fail(
            "Python %d.%d or newer is needed, this is %s (%s). Install one and run `make PYTHON=python3.13 ...`."
            % (*OLDEST_PYTHON, sys.version.split()[0], sys.executable)
        )
    check_node()
    build_venv()
    build_ministack()
    build_node_modules()
    if "clients" in sys.argv[1:]:
        build_clients()


def build_venv() -> None:
    """Create the developer's environment and sync it with its lock file."""
    locks = [ROOT / "requirements" / "setup.txt", ROOT / "requirements" / "dev.txt"]
    if is_current(VENV, locks):
        return
    say("Building .venv")
    uv = VENV / "bin" / "uv"
    if not uv.exists():
        create_environment(VENV)
        run(
            [str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(locks[0])],
            "pip could not install uv. Is a Python package registry reachable (pip config, PIP_INDEX_URL)?",
        )
    sync(VENV, locks[1])
    site_packages = next((VENV / "lib").glob("python3.*/site-packages"))
    (site_packages / "opencode_cloud_workspace.pth").write_text("\n".join(str(ROOT / p) for p in SEARCH_PATH) + "\n")
    mark_current(VENV, locks)


def build_ministack() -> None:
    """Create the emulator's own environment: it pins a botocore of its own and runs the handlers."""
    build_tool("ministack")


def build_node_modules() -> None:
    """Install the CDK CLI, the type checker and the opencode clients."""
    install_npm_packages(ROOT)


def build_clients() -> None:
    """Install what only the slow tests drive: clients, the newest SDK, agents of other makers, generators."""
    install_npm_packages(CLIENTS)
    try:
        install_npm_packages(GENERATORS)
        build_tool("openapi-client")
    except SystemExit:
        say("The generators of clients could not be installed. Their tests are skipped.")
    try:
        # Registries lack builds of some agents for other systems, and `npm ci` refuses a lock without these.
        install_npm_packages(AGENTS, ["install", "--no-save"])
        for name in PYTHON_AGENTS:
            build_tool(name)
    except SystemExit:
        say("Not all agents could be installed. The tests of those that are missing are skipped.")


def build_tool(name: str) -> None:
    """Create the environment of a Python program, and sync it with its lock file."""
    folder, locks = ROOT / ".tools" / name, [ROOT / "requirements" / (name + ".txt")]
    if is_current(folder, locks):
        return
    say("Building .tools/%s" % name)
    if not (folder / "bin" / "python").exists():
        create_environment(folder, "--without-pip")
    sync(folder, locks[0])
    mark_current(folder, locks)


def install_npm_packages(folder: Path, command: Sequence[str] = ("ci",)) -> None:
    """Install exactly the packages of the lock file in `folder`, and check each archive's hash."""
    locks = [folder / "package.json", folder / "package-lock.json"]
    if is_current(folder / "node_modules", locks):
        return
    say("Building %s" % (folder / "node_modules").relative_to(ROOT))
    run(
        ["npm", *command, "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        "npm could not install the Node tools. Is an npm registry reachable (npm config get registry)?",
        folder,
    )
    mark_current(folder / "node_modules", locks)


def check_node() -> None:
    """Exit with a message unless a recent Node and npm are on the path."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        fail("Node.js %d or newer with npm is needed (for the AWS CDK CLI), and was not found on PATH." % OLDEST_NODE)
    version = subprocess.run([node, "--version"], stdout=subprocess.PIPE, check=True).stdout.decode().strip()
    if int(version.lstrip("v").split(".")[0]) < OLDEST_NODE:
        fail("Node.js %d or newer is needed, this is %s (%s)." % (OLDEST_NODE, version, node))


def create_environment(path: Path, *options: str) -> None:
    """Create a virtual environment. Replace an incomplete one, or one of another Python."""
    run(
        [sys.executable, "-m", "venv", "--clear", *options, str(path)],
        "python3 could not create a virtual environment. On Debian and Ubuntu: apt-get install python3-venv.",
    )


def sync(environment: Path, lock: Path) -> None:
    """Install exactly the packages of `lock` into `environment`, and check each archive's hash."""
    python = environment / "bin" / "python"
    run(
        [str(VENV / "bin" / "uv"), "pip", "sync", "--quiet", "--require-hashes", "--python", str(python), str(lock)],
        "uv could not install %s. Is a Python package registry reachable (UV_DEFAULT_INDEX)?" % lock.name,
    )


def run(command: Sequence[str], advice: str, folder: Path = ROOT) -> None:
    """Run a step in `folder`. If it fails, exit with its output and `advice`."""
    environment = {"UV_SYSTEM_CERTS": "true", "PIP_DISABLE_PIP_VERSION_CHECK": "1", **os.environ}
    try:
        subprocess.run(command, cwd=folder, env=environment, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        fail("%s\n(%s)" % (advice, error))


def is_current(folder: Path, locks: List[Path]) -> bool:
    """Tell whether this Python built `folder` from these lock files, or another checkout did and keeps it."""
    if folder.is_symlink():
        # Its owner builds it. npm and uv would change the owner's files through the link.
        return True
    stamp = folder / ".built-from"
    return stamp.exists() and stamp.read_text() == fingerprint(locks)


def mark_current(folder: Path, locks: List[Path]) -> None:
    """Record the lock files of `folder`. This is written last, so an interrupted build does not look complete."""
    (folder / ".built-from").write_text(fingerprint(locks))


def fingerprint(locks: List[Path]) -> str:
    """Return a digest of the lock files, the checkout's path and the running Python."""
    digest = hashlib.sha256(("%s %s %s" % (ROOT, sys.base_prefix, sys.version)).encode())
    for lock in locks:
        digest.update(lock.read_bytes())
    return digest.hexdigest()


def say(text: str) -> None:
    """Print the current step."""
    print("setup: " + text, flush=True)


def fail(text: str) -> NoReturn:
    """Exit with a message instead of a stack trace."""
    print("\nsetup: " + text, file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
