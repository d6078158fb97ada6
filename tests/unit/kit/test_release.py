"""The version of the release."""

import tomllib
from pathlib import Path

from opencode_cloud.kit.release import VERSION

ROOT = Path(__file__).parents[3]


def test_pages_show_the_version_of_the_project() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION
