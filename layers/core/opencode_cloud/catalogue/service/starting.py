"""The catalogue of a new deployment: version 0, in force until the first version is published.

`starting.json` is the document that people edit. `starting_parsed.json` is what it says in the gateway's form, because
parsing the document takes a third of a gateway's start: ``make catalogue`` writes it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec

from opencode_cloud.catalogue.models import Catalogue

FOLDER = Path(__file__).parent.parent
FILE = FOLDER / "starting.json"
PARSED = FOLDER / "starting_parsed.json"


def starting_text() -> str:
    """Return the text of the document."""
    return FILE.read_text()


@cache
def starting_catalogue() -> Catalogue:
    """Return the catalogue in the gateway's form."""
    return msgspec.json.decode(PARSED.read_bytes(), type=Catalogue)


def parsed() -> bytes:
    """Return the content of `starting_parsed.json`, as the document says it now."""
    from opencode_cloud.catalogue.document import form_of, load  # imports pydantic

    catalogue = form_of(load(starting_text())).catalogue(0)
    return msgspec.json.format(msgspec.json.encode(catalogue), indent=1) + b"\n"


if __name__ == "__main__":
    PARSED.write_bytes(parsed())
