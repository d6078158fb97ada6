"""Order and visibility under concurrency (invariants I1, I2, I3), on the deployed stage."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import pytest

from tests.integration.publisher import Publisher, part


class Stack(Protocol):
    @property
    def url(self) -> str: ...


def write(share: Publisher, writer: int, batches: int, acknowledged: dict[int, tuple[int, int]]) -> None:
    mine = Publisher.create(str(share.http.base_url), share.session_id)
    for batch in range(batches):
        seq = mine.must_sync(part(f"{writer}_{batch}", str(batch)), part("hot", f"{writer}/{batch}"))
        acknowledged[seq] = (writer, batch)


def follow(share: Publisher, done: threading.Event) -> dict[str, str]:
    """Read the share by cursor, as a viewer that requests only new items, until everything is read after the end."""
    mine = Publisher.create(str(share.http.base_url), share.session_id)
    cursor, seen = 0, dict[str, Any]()
    while True:
        last = done.is_set()
        document = mine.items(cursor)
        for item in document["items"]:
            assert item["seq"] > cursor, "an item that was had already"
            # The last arrival of a key wins, even if an earlier arrival was committed after it.
            seen[item["key"]] = max(seen.get(item["key"], item), item, key=lambda each: (each["at"], each["seq"]))
        assert document["seq"] >= cursor
        cursor = document["seq"]
        if last and not document["more"]:
            return {key: item["data"]["text"] for key, item in seen.items()}


@pytest.mark.parametrize(("writers", "batches"), [(10, 20), pytest.param(10, 200, marks=pytest.mark.slow)])
def test_no_reader_that_resumes_misses_what_concurrent_writers_committed(
    stack: Stack, writers: int, batches: int
) -> None:
    share = Publisher.create(stack.url)
    acknowledged: dict[int, tuple[int, int]] = {}
    done = threading.Event()
    with ThreadPoolExecutor(writers + 2) as pool:
        readers = [pool.submit(follow, share, done) for _ in range(2)]
        writing = [pool.submit(write, share, writer, batches, acknowledged) for writer in range(writers)]
        for each in writing:
            each.result()
        done.set()
        views = [reader.result() for reader in readers]
    total = writers * batches
    assert sorted(acknowledged) == [2 * (n + 1) for n in range(total)], "sequence numbers have no gap and no double"
    expected = {f"part/msg_1/prt_{w}_{b}": str(b) for w in range(writers) for b in range(batches)}
    final = {key: item["data"]["text"] for key, item in share.all_items().items()}
    hot = final.pop("part/msg_1/prt_hot")
    assert final == expected
    for view in views:
        assert view.pop("part/msg_1/prt_hot") == hot
        assert view == expected


def test_each_read_after_an_acknowledgement_shows_it(stack: Stack) -> None:
    share = Publisher.create(stack.url)
    for n in range(30):
        share.must_sync(part("x", str(n)))
        assert share.data()[0]["data"]["text"] == str(n)


def test_the_last_arrival_wins_though_an_earlier_large_batch_ends_later(stack: Stack) -> None:
    """The batches can arrive in either order. A part that only one batch has tells the arrival time of that batch."""
    share = Publisher.create(stack.url)
    share.must_sync(part("warm"))
    bulk = [part(f"bulk{n}", random.randbytes(2000).hex()) for n in range(900)]
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(share.must_sync, *bulk, part("x", "of the large batch"))
        quick = Publisher.create(stack.url, share.session_id)
        quick.must_sync(part("quick"), part("x", "of the small batch"))
        slow.result()
    final = share.all_items()
    winner, large, small = (final[f"part/msg_1/prt_{name}"] for name in ("x", "bulk0", "quick"))
    last = max(large, small, key=lambda item: (item["at"], item["seq"]))
    assert winner["data"]["text"] == f"of the {'large' if last is large else 'small'} batch"
