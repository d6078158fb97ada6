"""A server beside the emulator that has the code, the settings and the rights of a deployed function."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.processes import READY_SECONDS, Program, accepts, clean_environment, free_port, is_free


class FunctionServer:
    """One server on a port of the loopback interface. It stops when the process that started it ends.

    It takes the function's role like any client of AWS, by a profile, so that IAM holds it to what it may do and its
    credentials are renewed by themselves.
    """

    def __init__(self, name: str, state: Path, root: Path) -> None:
        self.program = Program(name, state / "run", state / "logs")
        self.port = 0
        self._name = name
        self._root = root
        self._config = state / f"{name}.aws"

    @property
    def url(self) -> str:
        """The URL of the server. It answers only requests with the origin's secret."""
        return f"http://127.0.0.1:{self.port}"

    def choose_port(self, remembered: int | None) -> None:
        """Use the port of the last start, or a free one, because no deployed resource names it."""
        self.port = remembered if remembered and is_free(remembered) else free_port()

    def start(self, function: Mapping[str, Any], settings: Mapping[str, str]) -> None:
        """Serve as `function`, which is described in Lambda's form, and wait until it answers.

        Args:
            function: What `get_function_configuration` says.
            settings: Endpoint, region, and the key and secret of a user who may take the function's role.

        Raises:
            ProgramFailed: It did not start.
        """
        if not is_free(self.port):
            self.port = free_port()
        self._write_config(function["Role"], settings)
        library, code = self._root / "layers" / "core", self._root / "functions" / self._name
        variables = {
            **function["Environment"]["Variables"],
            "AWS_CONFIG_FILE": str(self._config),
            "AWS_ENDPOINT_URL": settings["endpoint_url"],
            "AWS_PROFILE": self._name,
            "AWS_DEFAULT_REGION": settings["region_name"],
            "AWS_REGION": settings["region_name"],
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "PYTHON": sys.executable,
            "PYTHONPATH": os.pathsep.join(map(str, (library, code, self._root))),
            **self._own_settings(),
        }
        command = [sys.executable, "-m", "local.lifeline", str(code / "run.sh")]
        self.program.start(command, clean_environment(**variables), self._root)
        self.program.wait_until(lambda: accepts(self.port), READY_SECONDS)

    def _own_settings(self) -> Mapping[str, str]:
        """Return the variables that this server has beside those of the function."""
        return {}

    def _write_config(self, role: str, settings: Mapping[str, str]) -> None:
        self._config.touch(mode=0o600)
        self._config.write_text(
            f"[profile {self._name}]\nrole_arn = {role}\nsource_profile = emulator\n"
            f"[profile emulator]\naws_access_key_id = {settings['aws_access_key_id']}\n"
            f"aws_secret_access_key = {settings['aws_secret_access_key']}\n"
        )
