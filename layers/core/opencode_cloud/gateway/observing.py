"""Metrics and the log line of each call. Neither contains a prompt, an answer, a credential or a session id."""

from __future__ import annotations

from http import HTTPStatus

from opencode_cloud.contracts.usage import Outcome, UsageEvent
from opencode_cloud.kit import log
from opencode_cloud.kit.log import logger, metrics


def refusal(code: str, status: int, correlation: str) -> None:
    """Count and log a call that ended in an error, even if no upstream received it."""
    log.count("Refusals")
    metrics.flush()
    logger.info("refused", extra={"error": code, "status": status, "correlation_id": correlation})


def observe(event: UsageEvent, *, settled: bool) -> None:
    """Write the metrics of a call, as one EMF record, and its log line."""
    log.count("Requests")
    log.count("TokensIn", event.tokens.prompt)
    log.count("TokensOut", event.tokens.output)
    log.count("CostMicroCents", event.cost)
    log.duration("Total", event.total_ms)
    if event.first_byte_ms is not None:
        log.duration("FirstByte", event.first_byte_ms)
    if event.attempts > 1:
        log.count("Failovers", event.attempts - 1)
    if event.outcome in {Outcome.FAILED, Outcome.INTERRUPTED} or event.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.count("UpstreamFailures")
    if not settled:
        log.count("SettleFailures")
    metrics.flush()
    logger.info(
        "call",
        extra={
            "call": event.id,
            "workspace": event.workspace_id,
            "key": event.key_id,
            "model": event.model,
            "upstream": event.upstream,
            "format": event.format,
            "outcome": event.outcome,
            "status": event.status,
            "error": event.error,
            "attempts": event.attempts,
            "first_byte_ms": event.first_byte_ms,
            "total_ms": event.total_ms,
            "cost_micro_cents": event.cost,
            "settled": settled,
            "correlation_id": event.correlation_id,
        },
    )
