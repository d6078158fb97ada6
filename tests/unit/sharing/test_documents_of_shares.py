"""Large renderings of a share, which are stored and read by a redirect."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from opencode_cloud.sharing.models import Refusal
from opencode_cloud.sharing.service import reading
from tests.unit.aws import Cloud
from tests.unit.sharing.test_owner_panel import SHARE, Desk


@pytest.mark.parametrize("suffix", [".json", ".md"])
def test_a_stored_document_tells_of_updates_that_were_refused_after_it(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr(reading, "ANSWER_BYTES", 10)
    desk = Desk(cloud)

    def stored() -> str:
        answer = desk.answer("GET", f"/share/{SHARE.id}{suffix}", "")
        assert answer["statusCode"] == 302
        return urlsplit(answer["headers"]["Location"]).path

    first = stored()
    assert stored() == first
    desk.store.note_refusal(SHARE.id, Refusal(code="share_full", since=1_800_000_000_000, last=1_800_000_000_000))
    second = stored()
    desk.store.note_refusal(SHARE.id, Refusal(code="share_full", since=1_800_000_000_000, last=1_800_000_900_000))
    assert len({first, second, stored()}) == 3
