"""The catalogue of a new deployment: version 0, in force until the first version is published."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from opencode_cloud.catalogue.models import Catalogue

FILE = Path(__file__).parent.parent / "starting.json"


def starting_text() -> str:
    """Return the text of the document."""
    return FILE.read_text()


@cache
def starting_catalogue() -> Catalogue:
    """Return the catalogue in the gateway's form."""
    # Import here only: importing the parser takes longer than a gateway should take to start.
    from opencode_cloud.catalogue.document import form_of, load

    return form_of(load(starting_text())).catalogue(0)
