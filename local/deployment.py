"""Deploy stage `local` to the emulator with the real CDK CLI, if a source has changed."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.processes import clean_environment

REGION = "us-east-1"
ACCOUNT = "000000000000"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
"""The emulator's root user. Any secret is accepted."""

SOURCES = (
    "app.py",
    "cdk.json",
    "infra",
    "layers",
    "functions",
    "migrations",
    "web",
    "requirements/dev.txt",
    "package-lock.json",
)
"""Files and folders that decide what is deployed."""


class DeploymentFailed(Exception):
    """The CDK could not synthesize or deploy. The message has the end of its output."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """One checkout deployed to one emulator."""

    root: Path
    state: Path
    emulator_port: int
    stage_file: Path | None = None
    """Settings of the stage in place of `infra/stages/local.toml`."""
    database: Mapping[str, str] = field(default_factory=dict[str, str])
    """The database's settings: environment variables that infra/stage.py reads."""

    @property
    def endpoint(self) -> str:
        """Address of the emulator."""
        return f"http://127.0.0.1:{self.emulator_port}"

    @property
    def environment(self) -> dict[str, str]:
        """Environment in which the CDK, or any AWS client, talks to the emulator."""
        region = {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "CDK_DEFAULT_REGION": REGION}
        local = {"AWS_ENDPOINT_URL": self.endpoint, "MINISTACK_PORT": str(self.emulator_port), "STAGE": "local"}
        file = {"STAGE_FILE": str(self.stage_file)} if self.stage_file else {}
        return clean_environment(**CREDENTIALS, **region, **local, **file, **self.database, CDK_DEFAULT_ACCOUNT=ACCOUNT)

    def is_current(self) -> bool:
        """Tell whether the emulator's saved state is deployed from the present sources."""
        return self._mark.exists() and self._mark.read_text() == self.fingerprint()

    def forget(self) -> None:
        """Mark the state as outdated before a deployment, which may be interrupted."""
        self._mark.unlink(missing_ok=True)

    def remember(self, fingerprint: str) -> None:
        """Record the deployed sources, after the emulator has saved its state."""
        self._mark.write_text(fingerprint)

    def outputs(self) -> dict[str, str]:
        """Return the outputs of all stacks by name."""
        stacks: dict[str, dict[str, str]] = json.loads(self._outputs.read_text())
        return {key: value for outputs in stacks.values() for key, value in outputs.items()}

    def is_bootstrapped(self) -> bool:
        """Tell whether the emulator's saved state has the CDK's bucket for assets."""
        return self._bootstrap_mark.exists()

    def bootstrap(self) -> None:
        """Create the CDK's resources for assets.

        Raises:
            DeploymentFailed: The CDK says why.
        """
        # Outside the checkout there is no app, so the CDK synthesizes nothing.
        self._cdk("bootstrap", f"aws://{ACCOUNT}/{REGION}", folder=self.state)

    def remember_bootstrap(self) -> None:
        """Record the bootstrap, after the emulator has saved its state."""
        self._bootstrap_mark.touch()

    def deploy(self) -> None:
        """Synthesize and deploy all stacks.

        Raises:
            DeploymentFailed: The CDK says why.
        """
        app = ("--app", f"{sys.executable} app.py", "--output", str(self.state / "cdk.out"))
        plan = ("--method", "direct", "--require-approval", "never", "--progress", "events")
        self._cdk("deploy", "--all", *app, *plan, "--outputs-file", str(self._outputs), folder=self.root)

    def _cdk(self, verb: str, *options: str, folder: Path) -> None:
        log = self.state / "logs" / f"{verb}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [str(self.root / "node_modules/.bin/cdk"), verb, *options, "--no-notices", "--no-version-reporting"]
        with log.open("wb") as file:
            done = subprocess.run(
                command,
                cwd=folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            end = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
            raise DeploymentFailed(f"cdk {verb} failed; the whole story is in {log}\n{end}")

    def fingerprint(self) -> str:
        """Return a digest of all inputs of a deployment, including its target."""
        digest = hashlib.sha256(f"{self.emulator_port} {sys.version} {json.dumps(dict(self.database))}".encode())
        for path in self._files():
            content = path.read_bytes()
            digest.update(f"{os.path.relpath(path, self.root)}\0{len(content)}\0".encode() + content)
        return digest.hexdigest()

    def _files(self) -> Iterator[Path]:
        if self.stage_file:
            yield self.stage_file
        for source in SOURCES:
            path = self.root / source
            files = sorted(path.rglob("*")) if path.is_dir() else [path]
            yield from (file for file in files if file.is_file() and "__pycache__" not in file.parts)

    @property
    def _mark(self) -> Path:
        return self.state / "deployed"

    @property
    def _bootstrap_mark(self) -> Path:
        return self.state / "bootstrapped"

    @property
    def _outputs(self) -> Path:
        return self.state / "outputs.json"
