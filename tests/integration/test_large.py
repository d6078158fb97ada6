"""Large shares and large items: everything below the gateway's limits is accepted and read back."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.integration.publisher import Publisher, part, session


def test_an_item_of_several_megabytes_comes_back_byte_for_byte(stack: Any) -> None:
    share = Publisher.create(stack.url)
    image = "data:image/png;base64," + os.urandom(2_000_000).hex()
    share.must_sync(session(share.session_id), part("image", image), part("small", "x"))
    assert {item["data"].get("text") for item in share.data()} == {None, image, "x"}
    reference = share.all_items()["part/msg_1/prt_image"]
    assert "data" not in reference
    assert share.http.get(reference["href"]).json()["data"]["text"] == image


def test_a_body_over_the_gateways_limit_is_refused_with_a_sentence_and_nothing_is_stored(stack: Any) -> None:
    share = Publisher.create(stack.url)
    response = share.sync(part("huge", "x" * 11_000_000))
    assert response.status_code == 413
    assert response.json()["message"]
    assert share.data() == []


@pytest.mark.parametrize(("items", "size"), [(2_000, 4_000), pytest.param(50_000, 4_000, marks=pytest.mark.slow)])
def test_a_long_session_is_read_whole(stack: Any, items: int, size: int) -> None:
    """50,000 items of 4 KB are 200 MB."""
    share = Publisher.create(stack.url)
    share.must_sync(session(share.session_id))
    for start in range(0, items, 500):
        batch = [part(f"{n}", os.urandom(size // 2).hex()) for n in range(start, min(start + 500, items))]
        share.must_sync(*batch)
    have = share.all_items()
    assert len(have) == items + 1
    data = share.data()
    assert len(data) == items + 1
    assert all(len(item["data"]["text"]) == size for item in data if item["type"] == "part")
    assert share.delete().status_code == 200
