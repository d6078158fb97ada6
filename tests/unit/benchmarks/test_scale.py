"""The simulation of scale: limits bind where they must, costs grow with the audience, and the crossover is one."""

# pyright: strict

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import msgspec
import pytest

from benchmarks.scale import crossover, functions_path, hub_path, table
from benchmarks.scale.__main__ import MONTHLY_VIEWERS
from benchmarks.scale.facts import Facts, Latencies, Latency, read
from benchmarks.scale.model import Cost, Sampler, TokenBucket, Use, Workload, first, outcome
from tests.language import ROOT

FACTS = read()
AUDIENCES = [*range(1, 12), 31, 32, 33, 99, 100, 101, 150, 200, 201, 399, 1_000, 4_999, 5_001, 10_000, 54_321, 100_000]


def limits(uses: list[Use]) -> dict[str, float]:
    """Return the exceeded limits with their uses."""
    return {use.limit: use.used for use in uses if use.used > 1}


def constant(milliseconds: float) -> Facts:
    """Return facts in which every request to AWS takes the same time."""
    same = {name: Latency(milliseconds, milliseconds) for name in Latencies.__struct_fields__}
    return msgspec.structs.replace(FACTS, latencies=Latencies(**same))


# ---------------------------------------------------------------------------------------------------------- limits


def test_a_thousand_viewers_use_half_of_the_requests() -> None:
    reached = first(functions_path.uses(FACTS, Workload(1_000)))
    assert reached.limit == "API Gateway requests"
    assert reached.used == pytest.approx(0.5, rel=0.01)


def test_ten_thousand_viewers_exceed_the_requests_alone() -> None:
    assert limits(functions_path.uses(FACTS, Workload(10_000))) == {"API Gateway requests": pytest.approx(5, rel=0.01)}


def test_a_hundred_thousand_viewers_exceed_the_reads_of_the_shares_partition_as_well() -> None:
    uses = functions_path.uses(FACTS, Workload(100_000))
    assert set(limits(uses)) == {"API Gateway requests", "reads of one partition"}
    assert next(use for use in uses if use.limit == "reads of one partition").fixed


def test_large_updates_exceed_the_writes_of_the_partition_on_both_runtimes() -> None:
    load = Workload(1, updates_per_second=20, update_bytes=100_000)
    assert first(functions_path.uses(FACTS, load)).limit == "writes of one partition"
    assert set(limits(hub_path.uses(FACTS, load))) == {"writes of one partition"}


def test_many_viewers_need_more_processors_than_a_new_account_has() -> None:
    assert set(limits(hub_path.uses(FACTS, Workload(100_000)))) == {"vCPUs of Fargate"}
    assert not limits(hub_path.uses(FACTS, Workload(10_000)))


def test_more_hubs_do_not_help_against_many_updates() -> None:
    assert "records of one hub" in limits(hub_path.uses(FACTS, Workload(1, updates_per_second=700)))


def test_the_highest_rate_is_at_a_limit() -> None:
    rate = crossover.highest_rate(lambda load: functions_path.uses(FACTS, load), Workload(1_000))
    assert first(functions_path.uses(FACTS, Workload(1_000, rate))).used == pytest.approx(1)


def test_hubs_keep_the_wanted_share_of_their_processor_free() -> None:
    for load in (Workload(viewers, rate) for viewers in (1, 1_000, 30_000, 100_000) for rate in (1, 5, 50)):
        assert hub_path.busy(FACTS, load) <= FACTS.hub.busy
        assert load.viewers / hub_path.hubs(FACTS, load) <= FACTS.hub.sockets


def test_an_audience_joins_as_fast_as_sockets_connect() -> None:
    for viewers in (500, 10_000, 100_000):
        assert functions_path.joining_seconds(FACTS, Workload(viewers)) == pytest.approx(viewers / 500)


# ------------------------------------------------------------------------------------------------------ simulation


def test_the_same_seed_gives_the_same_result() -> None:
    load = Workload(150)
    assert functions_path.simulate(FACTS, load, 3) == functions_path.simulate(FACTS, load, 3)
    assert functions_path.simulate(FACTS, load, 3) != functions_path.simulate(FACTS, load, 4)
    assert hub_path.simulate(FACTS, load, 3) == hub_path.simulate(FACTS, load, 3)


def test_an_update_takes_the_sum_of_its_stages() -> None:
    times, load = FACTS.times, Workload(1)
    seen = functions_path.simulate(constant(10), load)
    # API Gateway, query, counters, put, post
    assert seen.p50 == pytest.approx(50 + times.sync + times.viewer_row + times.post, abs=0.01)
    # The hub that holds the socket commits every second update itself: balancer, query, counters, put, balancer.
    assert hub_path.simulate(constant(10), load).p50 >= 50 + times.hub_commit + times.hub_frame


def test_posts_above_the_quota_are_lost_unless_it_is_raised() -> None:
    load = Workload(4_000)  # 20,000 posts a second
    assert functions_path.simulate(FACTS, load).arrived == pytest.approx(0.5, abs=0.08)
    assert functions_path.simulate(FACTS, load, raised=True).arrived == 1
    assert functions_path.simulate(FACTS, Workload(1_500)).arrived > 0.99


def test_a_hubs_last_viewer_waits_for_the_frames_of_all_others() -> None:
    seen = hub_path.simulate(constant(1), Workload(10_000))
    assert seen.p99 - seen.p50 == pytest.approx(5_000 / 2 * FACTS.times.hub_frame, rel=0.1)


def test_samples_have_the_wanted_percentiles() -> None:
    sampler, latency = Sampler(1), Latency(10, 40)
    seen = outcome([sampler.draw(latency) for _ in range(20_000)], lost=0)
    assert (seen.p50, seen.p99) == (pytest.approx(10, rel=0.03), pytest.approx(40, rel=0.1))


def test_a_throttle_admits_its_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(rate=100, burst=10)
    assert [bucket.take(0, 1) for _ in range(11)] == [True] * 10 + [False]
    assert bucket.take(10, 1)
    assert not bucket.take(10, 1)


# ------------------------------------------------------------------------------------------------------------ cost


@pytest.mark.parametrize("cost", [functions_path.cost, hub_path.cost])
@pytest.mark.parametrize("rate", [0.5, 5, 20])
def test_more_viewers_cost_more(cost: Callable[[Facts, Workload], Cost], rate: float) -> None:
    totals = [cost(FACTS, Workload(viewers, rate)).total for viewers in AUDIENCES]
    assert all(more > less for less, more in pairwise(totals))


def test_more_updates_cost_more() -> None:
    for cost in (functions_path.cost, hub_path.cost):
        totals = [cost(FACTS, Workload(300, rate)).total for rate in (0.1, 1, 5, 10, 50)]
        assert all(more > less for less, more in pairwise(totals))


def test_a_message_over_32_kb_is_billed_twice() -> None:
    one, two = (functions_path.cost(FACTS, Workload(10, update_bytes=size)).lines for size in (32_000, 33_000))
    assert two["messages"] == pytest.approx(2 * one["messages"], rel=0.01)


def test_hubs_cost_the_same_idle_as_the_gateways_containers() -> None:
    monthly = hub_path.cost(FACTS, Workload(0, 0)).total * crossover.HOURS_A_MONTH
    assert monthly == pytest.approx(82, abs=2)  # docs/deploy.md, "How model calls are served"


@pytest.mark.parametrize("rate", [0.5, 1, 5, 10])
def test_both_runtimes_cost_the_same_at_the_crossover(rate: float) -> None:
    viewers = crossover.viewers(FACTS, rate)
    assert viewers

    def difference(count: float) -> float:
        load = Workload(count, rate)
        return functions_path.cost(FACTS, load).total - hub_path.cost(FACTS, load).total

    assert difference(viewers) == pytest.approx(0, abs=1e-6)
    assert difference(viewers * 0.9) < 0 < difference(viewers * 1.1)


def test_both_runtimes_cost_the_same_in_a_month_with_the_crossovers_live_hours() -> None:
    load = Workload(100)
    hours = crossover.live_hours(FACTS, load)
    idle, live = (hub_path.cost(FACTS, each).total for each in (Workload(0, 0), load))
    hubs = idle * (crossover.HOURS_A_MONTH - hours) + live * hours
    assert functions_path.cost(FACTS, load).total * hours == pytest.approx(hubs)


# ------------------------------------------------------------------------------------------------------- documents


def test_the_document_has_the_present_tables_and_crossover() -> None:
    text = (ROOT / "docs/deploy.md").read_text()
    loads = [Workload(viewers) for viewers in table.VIEWERS]
    assert table.markdown(table.HEADER, [table.cells(table.row(FACTS, load)) for load in loads]) in text
    assert table.markdown(table.LIMITS_HEADER, [table.limits_cells(FACTS, load) for load in loads]) in text
    live = Workload(MONTHLY_VIEWERS)
    prose = " ".join(text.split())
    assert f"from {crossover.viewers(FACTS, 5):.1f} viewers on" in prose
    assert f"{crossover.frames(FACTS, live) / 1e6:.0f} million frames a month" in prose
    assert f"{crossover.live_hours(FACTS, live):.0f} live hours" in prose


def test_a_plain_table_has_aligned_columns() -> None:
    assert table.plain(("a", "b"), [("long", "1")]) == "a     b\nlong  1"
