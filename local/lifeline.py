"""Ends a program when the one that started it is gone, however it went. Standard library only: also runs in MiniStack.

A parent that was killed cannot stop its children, and an emulator left running would hold its port and its state.
"""

import os
import signal
import threading
import time

LOOK_SECONDS = 1.0


def end_with_parent() -> None:
    """Send ourselves SIGTERM, once, when our parent process has changed."""
    threading.Thread(target=_watch, args=(os.getppid(),), name="lifeline", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
