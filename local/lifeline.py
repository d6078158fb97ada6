"""End a program when its parent process has ended in any way. Standard library only: it also runs in MiniStack.

A parent that was killed cannot stop its children, and an emulator left running would hold its port and its state.
Programs that are not ours run under `python -m local.lifeline <command>`.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from types import FrameType

LOOK_SECONDS = 1.0


def end_with_parent() -> None:
    """Send ourselves SIGTERM, once, when our parent process has changed."""
    threading.Thread(target=_watch, args=(os.getppid(),), name="lifeline", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Run the command line's command; SIGTERM, and the end of our parent, are passed on to it as SIGTERM."""
    child = subprocess.Popen(sys.argv[1:])

    def pass_on(_number: int, _frame: FrameType | None) -> None:
        child.terminate()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
    end_with_parent()
    sys.exit(child.wait())


if __name__ == "__main__":
    main()
