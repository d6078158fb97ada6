"""The gateway beside the emulator, which cannot stream: uvicorn with the deployed function's code, settings, rights."""

import os
from collections.abc import Mapping
from pathlib import Path

from local.function_server import FunctionServer


class LocalGateway(FunctionServer):
    """The server of model calls."""

    def __init__(self, state: Path, root: Path, workers: int | None = None) -> None:
        """``workers``: the number of processes; None: that of the variable `GATEWAY_WORKERS`, or one."""
        super().__init__("gateway", state, root)
        self._workers = workers

    def _own_settings(self) -> Mapping[str, str]:
        return {"GATEWAY_WORKERS": str(self._workers or os.environ.get("GATEWAY_WORKERS", "1"))}
