"""Every operation of sharing, executed once by the functions while their AWS calls are counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from benchmarks.functions import (
    Event,
    Functions,
    Invocation,
    http_event,
    queue_event,
    socket_event,
    stream_event,
)
from benchmarks.metering import HOLD_SECONDS
from benchmarks.pricing import PriceList, Trigger, calls_by_name, described_rounds
from benchmarks.shares import BATCH, ITEM_BYTES, Shared, new_session, part
from benchmarks.viewers import connections
from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.sharing.store import PurgeRequest

Json = dict[str, Any]


class Operations:
    """Executes operations, counts and prices them."""

    def __init__(self, functions: Functions, prices: PriceList, url: str, deployed_table: str) -> None:
        self._functions = functions
        self._prices = prices
        self._url = url
        self._deployed_table = deployed_table

    def run(self, quiet_share: Shared, watched_share: Shared) -> Iterator[Json]:
        """Yield the cost of every operation, first those in the path of an update."""
        yield from self._creating()
        yield from self._publishing(quiet_share)
        yield from self._watched(watched_share)
        yield from self._reading(quiet_share)
        yield from self._stream(quiet_share)
        yield from self._removing(quiet_share)

    def create(self) -> Shared:
        """Create a share, without counting."""
        session = new_session()
        made = self._functions.invoke("share", http_event("POST", "/api/share", {"sessionID": session})).json()
        return Shared(session, made["id"], made["secret"])

    def _creating(self) -> Iterator[Json]:
        event = http_event("POST", "/api/share", {"sessionID": new_session()})
        yield self._measure("create", "share", event, "http")
        yield self._measure("create again (idempotent)", "share", event, "http")

    def _publishing(self, share: Shared) -> Iterator[Json]:
        # From here on the function knows the end of the log.
        self._functions.invoke("share", share.sync(share.batch(1)))
        yield self._measure("sync 1 item, 0 viewers", "share", share.sync(share.batch(1)), "http")
        yield self._measure("sync 10 items, 0 viewers", "share", share.sync(share.batch(BATCH)), "http", BATCH)
        message = {"action": "sync", "share": share.id, "secret": share.secret, "items": share.batch(BATCH)}
        event = socket_event("MESSAGE", "nobody", message)
        yield self._measure("sync 10 items over a socket, cold memory", "live", event, "socket", BATCH)
        event = socket_event("MESSAGE", "nobody", {**message, "items": share.batch(BATCH)})
        yield self._measure("sync 10 items over a socket", "live", event, "socket", BATCH)
        legacy = {
            "sessionID": share.session,
            "secret": share.secret,
            "key": f"session/part/{share.session}/msg_00000001/prt_legacy",
            "content": part(share.session, 1, ITEM_BYTES)["data"],
        }
        yield self._measure("legacy sync of 1 item", "share", http_event("POST", "/share_sync", legacy), "http")
        yield self._measure("sync of a 1 MB item", "share", share.sync(share.batch(1, 1_000_000)), "http")

    def _watched(self, share: Shared) -> Iterator[Json]:
        self._functions.invoke("share", share.sync(share.batch(BATCH)))
        with connections(self._url, self._deployed_table, 10) as viewers:
            yield self._measure("connect of a live viewer", "live", socket_event("CONNECT", viewers[0]), "socket")
            resume = {"action": "resume", "share": share.id, "after": 0}
            for connection in viewers[1:]:
                self._functions.invoke("live", socket_event("MESSAGE", connection, resume))
            event = socket_event("MESSAGE", viewers[0], resume)
            yield self._measure("resume, 10 items missed", "live", event, "socket")
            ping = {"action": "ping", "share": share.id, "after": share.published}
            yield self._measure("ping", "live", socket_event("MESSAGE", viewers[0], ping), "socket")
            event = share.sync(share.batch(BATCH))
            measured = self._measure("sync 10 items, 10 viewers", "share", event, "http", BATCH)
            if measured["calls"].get("post.PostToConnection") != len(viewers):
                raise RuntimeError("not every post was counted: has the client of @connections changed?")
            yield measured
            event = socket_event("DISCONNECT", viewers[0])
            yield self._measure("disconnect of a live viewer", "live", event, "none")

    def _reading(self, share: Shared) -> Iterator[Json]:
        yield self._measure("read data", "share", http_event("GET", f"/api/share/{share.id}/data"), "http")
        yield self._measure("read items", "share", http_event("GET", f"/share/{share.id}/items"), "http")
        yield self._measure("read page", "share", http_event("GET", f"/share/{share.id}"), "http")

    def _stream(self, share: Shared) -> Iterator[Json]:
        last = share.published + 1
        row = {"pk": {"S": share.id}, "last": {"N": str(last)}, "total": {"N": "1000"}}
        yield self._measure("stream window, nothing to do", "snapshot", stream_event([row]), "none")
        grown = {**row, "total": {"N": str(2**30)}}  # names a tail that must be folded
        yield self._measure("stream window, snapshot taken", "snapshot", stream_event([grown]), "none")

    def _removing(self, share: Shared) -> Iterator[Json]:
        unshare = http_event("DELETE", f"/api/share/{share.id}", {"secret": share.secret})
        yield self._measure("unshare", "share", unshare, "http")
        yield self._measure("purge", "purge", _purge_event(share, 1), "none")
        yield self._measure("purge, verification", "purge", _purge_event(share, 2), "none")

    def _measure(self, name: str, function: str, event: Event, trigger: Trigger, items: int = 1) -> Json:
        held = self._functions.invoke(function, event, HOLD_SECONDS)
        _check(name, held)
        cost = self._prices.cost(held, trigger, len(event.get("body") or ""))
        return {
            "operation": name,
            "function": function,
            "items": items,
            "rounds": described_rounds(held.calls),
            "calls": calls_by_name(held.calls),
            "write_units": sum(call.write_units for call in held.calls),
            "read_units": sum(call.read_units for call in held.calls),
            "bytes_in": len(event.get("body") or ""),
            "bytes_posted": sum(call.bytes_sent for call in held.calls if call.service == "post"),
            "bytes_to_s3": sum(call.bytes_sent for call in held.calls if call.service == "s3"),
            "cpu_ms": round(held.cpu_ms, 2),
            "usd_per_million": cost.as_json(),
            "usd_per_million_items": round(cost.per(items).total, 4),
        }


def _purge_event(share: Shared, round_: int) -> Event:
    return queue_event(msgspec.json.encode(PurgeRequest(ShareId(share.id), round_)).decode())


def _check(name: str, invocation: Invocation) -> None:
    answer = invocation.answer
    status = answer.get("statusCode", 200) if isinstance(answer, dict) else 200
    if status >= 400 or (isinstance(answer, dict) and answer.get("batchItemFailures")):
        raise RuntimeError(f"{name}: {answer}")
