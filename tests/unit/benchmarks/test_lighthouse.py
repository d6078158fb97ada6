"""The sums of the benchmark `lighthouse`: medians, failed audits, and the factor of the processor."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.lighthouse.measuring import CATEGORIES, METRICS, cpu_factor, failed, summary


def report(score: float, contrast: float | None) -> dict[str, Any]:
    """Return a report of Lighthouse with the same score everywhere, and one audit that has a weight."""
    refs = [{"id": "color-contrast", "weight": 7}, {"id": "hints", "weight": 0}]
    audits: dict[str, Any] = {name: {"score": score, "numericValue": 1000 * score} for name in METRICS}
    audits |= {"color-contrast": {"score": contrast}, "hints": {"score": 0}}
    return {
        "categories": {name: {"score": score, "auditRefs": refs} for name in CATEGORIES},
        "audits": audits,
        "environment": {"benchmarkIndex": 900},
    }


@pytest.mark.parametrize(("slowness", "factor"), [(1.0, 4.0), (2.0, 2.0), (5.0, 1.0)])
def test_a_slow_machine_is_slowed_down_less(slowness: float, factor: float) -> None:
    assert cpu_factor(slowness) == factor


def test_the_median_of_the_runs_counts() -> None:
    found = summary([report(score, 1) for score in (0.98, 0.5, 0.96)])
    assert found["performance"] == found["seo"] == 96
    assert found["fcp_ms"] == 960


def test_an_audit_fails_that_no_run_passed_and_that_has_a_weight() -> None:
    assert summary([report(1, 0), report(1, 0)])["failed"] == ["color-contrast"]
    assert summary([report(1, 0), report(1, 1)])["failed"] == []


def test_an_audit_that_does_not_apply_does_not_fail() -> None:
    assert failed(report(1, None)) == set()
