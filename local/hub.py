"""The hub beside the emulator: all of sharing in one process that holds the sockets (docs/decisions/029)."""

from collections.abc import Mapping
from pathlib import Path

from local.function_server import FunctionServer

LAMBDA, CONTAINER = RUNTIMES = ("lambda", "container")
"""The runtimes of sharing: functions of the emulator, or the hub."""


class LocalHub(FunctionServer):
    """The hub. It runs only if the stage is started with the runtime `container`."""

    def __init__(self, state: Path, root: Path) -> None:
        super().__init__("hub", state, root)

    def _own_settings(self) -> Mapping[str, str]:
        return {"HUB_ADDRESS": self.url, "HUB_PORT": str(self.port)}
