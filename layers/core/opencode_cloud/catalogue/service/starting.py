"""The catalogue that a deployment begins with: version 0, in force until the first one is published."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from opencode_cloud.catalogue.models import Catalogue

FILE = Path(__file__).parent.parent / "starting.json"


def starting_text() -> str:
    """Return the document as it is checked in."""
    return FILE.read_text()


@cache
def starting_catalogue() -> Catalogue:
    """Return it as the gateway reads it."""
    # Only here: what reads documents takes longer to import than a gateway should take to start.
    from opencode_cloud.catalogue.document import form_of, load

    return form_of(load(starting_text())).catalogue(0)
