"""How each agent is started without a person. All settings come from `opencode-cloud connect`."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from opencode_cloud_connect.agents import AGENTS, Places, Settings
from opencode_cloud_connect.files import plan, present, write
from tests.e2e import binaries
from tests.e2e.binaries import Generation
from tests.e2e.opencode import QUIET
from tests.upstreams import Call

ROOT = Path(__file__).resolve().parents[2]
MODULES = ROOT / "tests" / "agents" / "node_modules"
AGENT_SDK = MODULES / "@anthropic-ai" / "claude-agent-sdk"
TOOLS = ROOT / ".tools"
PATIENCE = 150.0
"""Seconds for one run on a busy machine."""


@dataclass(frozen=True)
class Run:
    """One run of an agent, in a home of its own."""

    model: str
    prompt: str
    home: Path
    project: Path
    picture: Path | None = None
    schema: Path | None = None
    """A JSON schema that the answer must have."""


@dataclass(frozen=True)
class Driver:
    """How to start one agent."""

    agent: str
    """Its name for `opencode-cloud connect`."""
    place: Path | Callable[[], Path | None]
    """Its program, or how to find it. None: this machine has no build of it."""
    arguments: Callable[[Run], list[str]]
    look: Callable[[Path], Call] | None = None
    """The call by which the agent reads a file; None: it has no tools."""
    quiet: Mapping[str, str] = field(default_factory=dict[str, str])
    """Variables that keep it from asking for updates and from sending telemetry."""
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    """Settings of the person before the agent is connected, for the same purpose."""
    pictures: bool = False
    schemas: bool = False

    @property
    def program(self) -> Path | None:
        """Its program."""
        return self.place if isinstance(self.place, Path) else self.place()

    @property
    def missing(self) -> str:
        """A sentence that says why the agent cannot be driven; empty if it can."""
        found = self.program is not None and self.program.exists()
        return "" if found else f"{self.agent} ({self.program or 'no build'}) is missing: run `make clients`."

    def connect(self, run: Run, settings: Settings) -> None:
        """Write the agent's files as `opencode-cloud connect` does."""
        for name, text in self.files.items():
            file = run.home / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        for change in AGENTS[self.agent].changes(settings, Places(run.home, {})):
            write(plan(change, *present(change.path)))

    def environment(self, run: Run) -> dict[str, str]:
        """Return the variables of a run: no key and no address."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "SSL_CERT_FILE") if name in os.environ}
        return {**kept, "HOME": str(run.home), "NO_COLOR": "1", "TERM": "dumb", **self.quiet}

    def start(self, run: Run, output: Path) -> subprocess.Popen[bytes]:
        """Start the agent. It writes to `output`, and its group of processes is its own."""
        with output.open("wb") as file:
            return subprocess.Popen(
                [str(self.program), *self.arguments(run)],
                cwd=run.project,
                env=self.environment(run),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


def _machine() -> str:
    return "arm64" if platform.machine() in ("arm64", "aarch64") else "x64"


def _claude(run: Run) -> list[str]:
    arguments = ["-p", run.prompt, "--allowedTools", "Bash", "Read", "--output-format", "text"]
    if run.schema:
        arguments = ["-p", run.prompt, "--output-format", "json", "--json-schema", run.schema.read_text()]
    return arguments


def _codex(run: Run) -> list[str]:
    arguments = ["exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
    arguments += ["--image", str(run.picture)] if run.picture else []
    arguments += ["--output-schema", str(run.schema)] if run.schema else []
    return [*arguments, "--", run.prompt]


def _gemini(run: Run) -> list[str]:
    pictures = f"@{run.picture.name} " if run.picture else ""
    return ["--yolo", "--skip-trust", "-p", pictures + run.prompt]


def _qwen(run: Run) -> list[str]:
    pictures = f"@{run.picture.name} " if run.picture else ""
    schemas = ["--json-schema", f"@{run.schema}"] if run.schema else []
    return ["--yolo", *schemas, pictures + run.prompt]


def _aider(run: Run) -> list[str]:
    quiet = ["--yes-always", "--no-git", "--no-check-update", "--no-show-model-warnings", "--analytics-disable"]
    return [*quiet, "--no-pretty", "--edit-format", "whole", "--message", run.prompt, "notes.txt"]


FUNCTION = """
import subprocess

def run_command(command: str) -> str:
    "Runs a command in a shell"
    return subprocess.run(command, shell=True, capture_output=True, text=True).stdout
"""


def _llm(run: Run) -> list[str]:
    arguments = ["-m", f"opencode-cloud/{run.model}", "--no-log"]
    if run.schema:
        return [*arguments, "--schema", str(run.schema), run.prompt]
    arguments += ["-a", str(run.picture)] if run.picture else []
    return [*arguments, "--functions", FUNCTION, run.prompt]


QUIET_GEMINI = json.dumps({"general": {"enableAutoUpdate": False}, "privacy": {"usageStatisticsEnabled": False}})

QUIET_OPENCODE = json.dumps({"share": "disabled", "permission": {"edit": "allow", "bash": "allow"}})


def _opencode(generation: Generation) -> Driver:
    def place() -> Path | None:
        try:
            return binaries.find(generation)  # starts it, so not while tests are collected
        except binaries.BinaryMissingError:
            return None

    return Driver(
        "opencode",
        place,
        # It puts a word with spaces into quotation marks.
        lambda run: ["run", *(["--file", str(run.picture)] if run.picture else []), "--", *run.prompt.split(" ")],
        lambda file: Call("bash", {"command": f"cat {file}", "description": "Reads it"}),
        QUIET,
        {".config/opencode/opencode.json": QUIET_OPENCODE},
        pictures=True,
    )


DRIVERS = {
    driver.agent: driver
    for driver in (
        Driver(
            "claude-code",
            MODULES / "@anthropic-ai" / f"claude-code-linux-{_machine()}" / "claude",
            _claude,
            lambda file: Call("Bash", {"command": f"cat {file}", "description": "Read it"}),
            {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"},
            pictures=True,
            schemas=True,
        ),
        Driver(
            "codex",
            MODULES / ".bin" / "codex",
            _codex,
            lambda file: Call("exec_command", {"cmd": f"cat {file}"}),
            files={".codex/config.toml": "check_for_update_on_startup = false\n\n[analytics]\nenabled = false\n"},
            pictures=True,
            schemas=True,
        ),
        Driver(
            "gemini",
            MODULES / ".bin" / "gemini",
            _gemini,
            lambda file: Call("run_shell_command", {"command": f"cat {file}", "description": "Read it"}),
            files={".gemini/settings.json": QUIET_GEMINI},
            pictures=True,
        ),
        Driver(
            "qwen",
            MODULES / ".bin" / "qwen",
            _qwen,
            lambda file: Call("read_file", {"file_path": str(file)}),
            files={".qwen/settings.json": QUIET_GEMINI},
            pictures=True,
            schemas=True,
        ),
        Driver(
            "cline",
            MODULES / ".bin" / "cline",
            lambda run: [run.prompt],
            lambda file: Call("run_commands", {"commands": [f"cat {file}"]}),
        ),
        Driver("aider", TOOLS / "aider" / "bin" / "aider", _aider, quiet={"LITELLM_LOCAL_MODEL_COST_MAP": "True"}),
        Driver(
            "llm",
            TOOLS / "llm" / "bin" / "llm",
            _llm,
            lambda file: Call("run_command", {"command": f"cat {file}"}),
            pictures=True,
            schemas=True,
        ),
    )
}
DRIVERS |= {"opencode": _opencode("current"), "opencode-1.1": _opencode("1.1")}
DRIVERS["claude-agent-sdk"] = replace(
    DRIVERS["claude-code"],
    place=Path(shutil.which("node") or "node") if AGENT_SDK.exists() else AGENT_SDK,
    arguments=lambda run: [str(Path(__file__).with_name("agent_sdk.mjs")), run.prompt],
    schemas=False,
)
"""The agents by their names, opencode also in its oldest release that needs no package from a registry."""
