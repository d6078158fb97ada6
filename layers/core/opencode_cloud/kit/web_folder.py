"""The folder of templates, static files and catalogues of the pages."""

from __future__ import annotations

from pathlib import Path


def web_folder() -> Path:
    """Return the folder: in the built package, or else in the repository."""
    packaged = Path(__file__).parents[1] / "_web"
    return packaged if packaged.is_dir() else Path(__file__).parents[4] / "web"
