"""The start of a process: imports without garbage collection, and what to prepare before a snapshot."""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module

_TYPE = "AWS_LAMBDA_INITIALIZATION_TYPE"
"""Lambda sets it: ``on-demand``, ``provisioned-concurrency`` or ``snap-start``."""
_OPTIONAL = "typing_extensions"
"""msgspec imports it if it is installed, and uses only names of it that ``typing`` has, too."""


class Starting:
    """A block in which modules are imported and objects made that live as long as the process.

    The collector would go through all of them again and again and find nothing, which is a fifth of the processor time
    of a start. After the block it works as before, and passes over these objects.
    """

    def __enter__(self) -> None:
        gc.disable()
        _import_msgspec()

    def __exit__(self, *_: object) -> None:
        gc.freeze()
        gc.enable()


def _import_msgspec() -> None:
    """Import msgspec as if its optional library were not installed, which takes a tenth of the start of ``share``.

    Other libraries find the optional one afterwards.
    """
    if _OPTIONAL in sys.modules:
        return
    sys.modules[_OPTIONAL] = None  # pyright: ignore[reportArgumentType] - the import system takes it for "not there"
    try:
        import_module("msgspec")
    finally:
        del sys.modules[_OPTIONAL]


YOUNG_OBJECTS = 10_000
"""Objects after which a collection begins. Python's 700 are less than what a hundred open streams have."""


def spare_present_objects() -> None:
    """Collect garbage, have later collections pass over all present objects, and make them rare.

    A server calls it before it takes requests. Otherwise streams and sockets wait for collections that find nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 10, 10)


def starts_ahead() -> bool:
    """Tell whether this process starts before requests wait for it, so that it should prepare even rare answers.

    Lambda does so for SnapStart and provisioned concurrency. A container takes requests only after its start.
    """
    return os.environ.get(_TYPE, "") in {"snap-start", "provisioned-concurrency"}
