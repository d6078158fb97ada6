"""The settings of a local stage that sells credit by the stand-in for Stripe."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from local import selling
from local.stripe import StripeStandIn

GIVEN = 'name_of_section = "[stripe]"\n[stripe] # ours\ntax = true\nseat_price = "1.00"\n[mail]\nsender = "a"\n'


@pytest.mark.parametrize("given", ["", GIVEN, "[billing]\nenabled = false\n"])
def test_what_a_file_of_settings_says_itself_stays(tmp_path: Path, given: str) -> None:
    base = tmp_path / "base.toml"
    base.write_text(given)
    stand_in = StripeStandIn(tmp_path, tmp_path, 9400)
    written: dict[str, Any] = tomllib.loads(selling.stage_file(tmp_path, stand_in, base).read_text())
    alone: dict[str, Any] = tomllib.loads(selling.stage_file(tmp_path, stand_in, None).read_text())
    own: dict[str, Any] = tomllib.loads(given)
    for section in ("billing", "stripe"):
        assert written.pop(section) == alone[section] | own.pop(section, {})
    assert written == own
