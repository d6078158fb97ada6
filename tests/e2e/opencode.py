"""Drive the unmodified opencode clients: separate homes, a server over HTTP, and one-shot commands.

Requirements of all generations without a terminal: stdin must be /dev/null; a request before the server's
"listening" line never gets an answer; the directories below separate the state of clients.
"""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

import httpx

from local.processes import free_port
from tests.waiting import PATIENCE, until

from . import binaries
from .binaries import Generation
from .model import MODEL, PACKAGE, PROVIDER, ScriptedModel

JsonObject = dict[str, Any]
T = TypeVar("T")
Sharing = Literal["manual", "auto"]

QUIET = {
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",  # 1.0.61 would install them from npm
}
"""Settings that keep a client off the internet."""
LISTENING = "opencode server listening on "
CALL_TIMEOUT = 300.0  # seconds; a turn against the scripted model takes under one, on a free machine


@dataclass(frozen=True)
class Home:
    """One user's machine: configuration, state and a project folder, all under `root`."""

    root: Path
    binary: Path
    model: ScriptedModel
    share_url: str

    @classmethod
    def create(
        cls, root: Path, generation: Generation, model: ScriptedModel, share_url: str, share: Sharing = "manual"
    ) -> "Home":
        """Create the home of a client that shares at `share_url`."""
        home = cls(root, binaries.find(generation), model, share_url)
        home.project.mkdir(parents=True)
        home.logs.mkdir()
        settings: JsonObject = {
            "model": f"{PROVIDER}/{MODEL}",
            "small_model": f"{PROVIDER}/{MODEL}",
            "provider": model.provider(),
            "permission": {"edit": "allow", "bash": "allow"},
            "share": share,
        }
        if generation != "legacy":  # 1.0.61 does not start with an unknown key
            settings["enterprise"] = {"url": share_url}
        path = root / "config" / "opencode" / "opencode.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(settings, indent=2))
        if generation == "legacy":
            home._fill_package_cache()
            home._stand_in_for_ripgrep()
        home._make_repository()
        return home

    @property
    def project(self) -> Path:
        return self.root / "project"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def environment(self) -> dict[str, str]:
        """Return an environment with only PATH of the caller, without keys, proxies or settings of the developer."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "TMPDIR": str(self.logs),
            "LANG": "C.UTF-8",
            "XDG_CONFIG_HOME": str(self.root / "config"),
            "XDG_DATA_HOME": str(self.root / "data"),
            "XDG_STATE_HOME": str(self.root / "state"),
            "XDG_CACHE_HOME": str(self.root / "cache"),
            **QUIET,
            "OPENCODE_API": self.share_url,  # the share URL of 1.0.61; 1.18.33 does not read it
            "npm_config_registry": self.model.url,
            "NO_PROXY": "127.0.0.1,localhost",
        }

    def run(self, *arguments: str, environment: dict[str, str] | None = None) -> str:
        """Run `opencode <arguments>` in the project to its end, and return stdout.

        stdout goes to a file, because the client cuts what it writes to a pipe at 64 KB. Fails with the client's own
        words when it exits with an error.
        """
        status, output, errors = self._run(*arguments, environment=environment)
        assert status == 0, f"opencode {' '.join(arguments)}: {output}{errors}"
        return output

    def try_to_run(self, *arguments: str) -> str:
        """Run `opencode <arguments>` and return its whole output, whether it succeeds or not."""
        _, output, errors = self._run(*arguments)
        return output + errors

    def _run(self, *arguments: str, environment: dict[str, str] | None = None) -> tuple[int, str, str]:
        output = self.logs / f"run-{time.monotonic_ns()}.out"
        with output.open("wb") as stdout, output.with_suffix(".err").open("wb") as stderr:
            ended = subprocess.run(
                [self.binary, *arguments],
                cwd=self.project,
                env=self.environment() | (environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                timeout=CALL_TIMEOUT,
                check=False,
            )
        return ended.returncode, output.read_text(), output.with_suffix(".err").read_text()

    def import_link(self, url: str) -> str:
        """Run `opencode import <url>` and return the id of the new session."""
        output = self.run("import", url)
        found = re.search(r"ses_[0-9a-f]{12}[0-9A-Za-z]{14}", output)
        assert found, f"import does not tell the session's id: {output}"
        return found[0]

    def export(self, session_id: str) -> JsonObject:
        """Return `{"info", "messages"}` of a session of this home."""
        return json.loads(self.run("export", session_id))

    def database(self) -> Path:
        """Return the client's database, after creating its tables as the client's first run does."""
        path = self.root / "data" / "opencode" / "opencode.db"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_empty_database(self.binary))
        return path

    def known_shares(self) -> dict[str, JsonObject]:
        """Return the shares in the database of 1.18.33, by session id: `{"id", "secret", "url"}`."""
        with closing(sqlite3.connect(self.database())) as connection:
            rows = connection.execute("SELECT session_id, id, secret, url FROM session_share").fetchall()
        return {session: {"id": share, "secret": secret, "url": url} for session, share, secret, url in rows}

    def become(self, account: str, token: str, workspace: str | None) -> None:
        """Write the state of `console login` and `console switch`; without a workspace, that of `console logout`."""
        database = self.database()
        later = (int(time.time()) + 86_400) * 1000
        row = (account, f"{account}@example.com", self.share_url, token, "none", later, 1, 1)
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("DELETE FROM account_state")
            connection.execute("DELETE FROM account")
            if workspace is not None:
                connection.execute("INSERT INTO account VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
                connection.execute("INSERT INTO account_state VALUES (1, ?, ?)", (account, workspace))

    @contextmanager
    def serve(self) -> Generator["Client"]:
        """Run `opencode serve` on a free port until the end of the block."""
        output = self.logs / f"serve-{time.monotonic_ns()}.out"
        with output.open("wb") as stdout:
            process = subprocess.Popen(
                [self.binary, "serve", "--hostname", "127.0.0.1", "--port", str(free_port())],
                cwd=self.project,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.STDOUT,
            )
        try:
            url = _listening_url(process, output)
            with httpx.Client(base_url=url, timeout=CALL_TIMEOUT, trust_env=False) as http:
                yield Client(self, http)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _fill_package_cache(self) -> None:
        """Write the cache of 1.0.61 after an installation of the model's provider package from npm."""
        package = binaries.ROOT / "node_modules" / PACKAGE
        assert package.is_dir(), f"no {package}: run `make setup` in {binaries.ROOT}"
        cache = self.root / "cache" / "opencode"
        link = cache / "node_modules" / PACKAGE
        link.parent.mkdir(parents=True)
        link.symlink_to(package, target_is_directory=True)
        (cache / "package.json").write_text(json.dumps({"dependencies": {PACKAGE: "latest"}}))
        # The version of the cache's layout. With another version the client empties the cache.
        (cache / "version").write_text("9")

    def _stand_in_for_ripgrep(self) -> None:
        """Provide a ripgrep for 1.0.61, which would download one to list the project's files for its system prompt."""
        program = self.root / "data" / "opencode" / "bin" / "rg"
        program.parent.mkdir(parents=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)

    def _make_repository(self) -> None:
        """Make the project a git repository. Without one the client makes neither snapshots nor diffs."""
        git = shutil.which("git")
        assert git is not None, "the e2e tests need git on the PATH"
        author = ["-c", "user.name=tester", "-c", "user.email=tester@localhost"]
        for command in (["init", "--quiet"], [*author, "commit", "--quiet", "--allow-empty", "--message", "start"]):
            subprocess.run([git, *command], cwd=self.project, env=self.environment(), check=True, timeout=PATIENCE)


@cache
def _empty_database(binary: Path) -> bytes:
    """Return the database after a client's first run, which takes two seconds."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {"PATH": os.environ["PATH"], "HOME": folder, "XDG_DATA_HOME": folder, **QUIET}
        command = [binary, "session", "list"]
        subprocess.run(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=True
        )
        path = Path(folder) / "opencode" / "opencode.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return path.read_bytes()


def _listening_url(process: subprocess.Popen[bytes], output: Path) -> str:
    """Wait for the line with the server's address. An earlier request would never get an answer."""

    def told() -> str:
        said = output.read_text(errors="replace")
        assert process.poll() is None, f"opencode serve did not start listening: {said}"
        lines = [line for line in said.splitlines(keepends=True) if line.startswith(LISTENING) and line.endswith("\n")]
        return lines[0].removeprefix(LISTENING).strip() if lines else ""

    return until(told)


@dataclass(frozen=True)
class Client:
    """A running `opencode serve`."""

    home: Home
    http: httpx.Client

    def call(self, method: str, path: str, body: JsonObject | None = None) -> Any:
        """Send one request to the client's own API; fails with its answer unless that is a success."""
        response = self.http.request(method, path, json=body)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text}"
        return response.json()

    def start_session(self, title: str | None = None) -> "Session":
        body: JsonObject = {} if title is None else {"title": title}
        return Session(self, self.call("POST", "/session", body)["id"])


@dataclass(frozen=True)
class Session:
    """One session of a running client."""

    client: Client
    id: str

    def prompt(self, text: str, *attachments: JsonObject) -> JsonObject:
        """Send a prompt and wait for the end of the turn; return the last assistant message."""
        body: JsonObject = {
            "parts": [{"type": "text", "text": text}, *attachments],
            "model": {"providerID": PROVIDER, "modelID": MODEL},
        }
        return self.client.call("POST", f"/session/{self.id}/message", body)

    def share(self) -> str:
        """Share the session and return the share's URL."""
        return self.client.call("POST", f"/session/{self.id}/share")["share"]["url"]

    def unshare(self) -> None:
        self.client.call("DELETE", f"/session/{self.id}/share")

    def delete(self) -> None:
        self.client.call("DELETE", f"/session/{self.id}")

    def revert(self, message_id: str) -> None:
        """Revert that message and all messages after it."""
        self.client.call("POST", f"/session/{self.id}/revert", {"messageID": message_id})

    def info(self) -> JsonObject:
        return self.client.call("GET", f"/session/{self.id}")

    def messages(self) -> list[JsonObject]:
        """Return the messages, oldest first, each as `{"info", "parts"}`."""
        return self.client.call("GET", f"/session/{self.id}/message")

    def secret(self) -> str | None:
        """Return the secret that the client stores for this session's share; None without one."""
        share = self.client.home.known_shares().get(self.id)
        return None if share is None else share["secret"]
