"""Every number of the simulation has a source and a date, and agrees with our code and the other price lists."""

# pyright: strict, reportPrivateUsage=false

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Sequence
from datetime import date
from types import SimpleNamespace
from typing import Any, cast

import pytest

from benchmarks.capacity import item_bytes
from benchmarks.pricing import MEMORY_MB, PRICES
from benchmarks.scale import facts
from infra.service_settings import Gateway
from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit import parallel, sockets
from opencode_cloud.kit.rate_counters import Expense, Totals
from opencode_cloud.sharing.service import fan_out, viewer_limit
from opencode_cloud.sharing.service.quotas import AnonymousLimits, AnonymousQuotas
from opencode_cloud.sharing.store import tasks
from tests.language import ROOT

ENTRIES = facts.entries()
SOURCES = facts.sources()
KNOWN = facts.read()


@pytest.mark.parametrize("name", ENTRIES)
def test_a_value_has_a_unit_and_a_dated_source(name: str) -> None:
    entry = ENTRIES[name]
    assert entry.unit
    assert SOURCES[entry.source].page
    assert SOURCES[entry.source].date >= date(2026, 11, 1)
    assert (entry.value is None) != (entry.p50 is None)
    assert (entry.p50 is None) == (entry.p99 is None)


def test_a_value_without_a_source_is_marked_as_assumed() -> None:
    assert [name for name, entry in ENTRIES.items() if entry.source == "assumed" and not entry.assumed] == []


def test_every_source_is_used() -> None:
    assert {entry.source for entry in ENTRIES.values()} == set(SOURCES)


def test_a_value_can_be_replaced_by_its_name() -> None:
    assert facts.read({"times.hub_frame": 0.5}).times.hub_frame == 0.5
    with pytest.raises(KeyError):
        facts.read({"times.unknown": 1.0})


def test_the_constants_are_those_of_the_code() -> None:
    ours = KNOWN.ours
    assert ours.inline_viewers == fan_out.INLINE_VIEWERS
    assert ours.viewers_per_push == tasks.VIEWERS_PER_PUSH
    assert ours.rows_per_join == 2 * viewer_limit.SAMPLE
    assert ours.lanes == sockets._LANES
    assert ours.threads == parallel.WIDTH
    assert ours.post_attempts == sockets._BACKOFF.attempts
    assert ours.post_pause == sockets._BACKOFF.first * 1000
    assert [ours.share_memory, ours.live_memory, ours.deliver_memory] == [
        MEMORY_MB[name] for name in ("share", "live", "deliver")
    ]
    assert KNOWN.quotas.message_bytes == sockets.FRAME_BYTES


def test_a_page_pings_as_often_as_the_viewer_of_the_product() -> None:
    script = (ROOT / "web/static/follow.js").read_text()
    ping = re.search(r"const PING = ([\d_]+)", script)
    assert ping
    assert "delay * (0.5 + Math.random() / 2)" in script
    assert int(ping[1]) * 0.75 / 1000 == KNOWN.ours.ping_seconds


def test_a_row_of_a_viewer_is_as_large_as_the_stored_one() -> None:
    row = {"pk": {"S": "s" * 22}, "sk": {"S": "V#" + "c" * 16}, "protocol": {"S": "live"}, "ttl": {"N": "1790000000"}}
    assert item_bytes(row) == pytest.approx(KNOWN.ours.viewer_row_bytes, abs=4)


def test_a_sync_without_an_owner_writes_as_many_counters() -> None:
    spent: list[str] = []

    class Counters:
        def spend_all(self, expenses: Sequence[Expense]) -> Sequence[Totals]:
            spent.extend(subject for subject, _, _ in expenses)
            return [Totals(dict.fromkeys(amounts, 0), 0) for _, _, amounts in expenses]

    share = SimpleNamespace(id=ShareId("s"))
    AnonymousQuotas(cast("Any", Counters()), AnonymousLimits(share_bytes=1)).take(cast("Any", share), "192.0.2.1", [])
    assert len(spent) == KNOWN.ours.counters


def test_the_hub_has_the_size_of_the_gateways_containers() -> None:
    gateway = Gateway()
    assert KNOWN.hub.least_tasks == gateway.least_tasks
    assert KNOWN.hub.vcpus == gateway.task_cpu / 1024
    assert KNOWN.hub.memory_gb == gateway.task_memory / 1024


def test_prices_agree_with_the_lists_of_benchmark_and_infrastructure() -> None:
    prices = KNOWN.prices
    bench = json.loads(PRICES.read_text())["prices"]
    idle = tomllib.loads((ROOT / "infra/prices.toml").read_text())["prices"]
    assert [prices.http_million, prices.message_million, prices.connection_minute_million] == [
        bench["http_api_requests_per_million"],
        bench["websocket_messages_per_million"],
        bench["websocket_connection_minutes_per_million"],
    ]
    assert [prices.invocation_million, prices.function_gb_second] == [
        bench["lambda_requests_per_million"],
        bench["lambda_gb_second"],
    ]
    assert [prices.write_unit_million, prices.read_unit_million] == [
        bench["dynamodb_write_units_per_million"],
        bench["dynamodb_read_units_per_million"],
    ]
    assert [prices.log_gb, prices.cdn_request_million] == [
        bench["logs_per_gb"],
        bench["cloudfront_https_requests_per_million"],
    ]
    assert [prices.vcpu_hour, prices.memory_gb_hour] == [
        idle["fargate"]["arm64"]["vcpu_hour"],
        idle["fargate"]["arm64"]["gb_hour"],
    ]
    assert [prices.address_hour, prices.balancer_hour] == [idle["public_ipv4_hour"], idle["load_balancer_hour"]]
