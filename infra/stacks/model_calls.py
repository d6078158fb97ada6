"""Graphs and alarms of model calls, for operators: signals of gateway, budgets and ledger."""

# jsii's classes do not match their own Protocols by pyright's rules: they name parameters differently.
# pyright: reportArgumentType=false

from collections.abc import Iterator

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_elasticloadbalancingv2 as balancing

from infra.constructs.alarms import Signal
from infra.constructs.function import Function
from infra.constructs.metrics import PERIOD, graph, share, written
from infra.stacks.gateway import GatewayStack

FEWEST_CALLS = 20
"""Minimum number of calls in five minutes for a meaningful percentage."""

MOST_RESERVATIONS = 100_000
"""Outstanding reservations: more than all containers and functions of a stage can serve at one time."""


def signals(gateway: GatewayStack, ledger: Function) -> Iterator[Signal]:
    """Yield the alarms that should wake an operator."""
    lost = "A call was answered but could not be settled, so no budget and no bill contains its usage."
    yield Signal("SettleFailures", written("SettleFailures", "gateway"), 0, lost)
    died = "Model calls ended without being settled, and their reservations were returned: processes die."
    yield Signal("ReservationsLost", written("ReservationsLost", "budgets"), 0, died)
    swept = written("ReservationsOutstanding", "budgets", "Maximum")
    still = "The sweep of reservations has not run for 15 minutes, so crashed calls hold their budgets."
    yield Signal("SweepMissing", swept, MOST_RESERVATIONS, still, silence=3)
    drift = "DynamoDB, MySQL and the ledger of money disagree: see table reconciliations and the ledger's log."
    yield Signal("LedgerDrift", written("LedgerDrift", "ledger"), 0, drift)
    locked = "A provider refuses the platform's account or key: money, quota, region. Its routes are skipped."
    yield Signal("ProvidersRefuseUs", written("AccountRefusals", "gateway"), 0, locked)
    failing = share(
        written("UpstreamFailures", "gateway"),
        written("Requests", "gateway"),
        at_least=FEWEST_CALLS,
        label="failed calls, %",
    )
    yield Signal("ModelCallsFail", failing, 20, "A fifth of all model calls fail on every upstream.", urgent=True)
    slow = written("FirstByte", "gateway", "p99")
    yield Signal("ModelCallsSlow", slow, 60_000, "One model call of a hundred waits over a minute for its first byte.")
    answers = _answers(gateway)
    if answers:
        errors, requests = answers
        refused = share(errors, requests, at_least=FEWEST_CALLS, label="5xx, %")
        meaning = "The gateway answers 5xx to one request of twenty."
        yield Signal("GatewayServerErrors", refused, 5, meaning, urgent=True)
    if gateway.containers:
        ill = gateway.containers.hosts("UnHealthyHostCount", "Maximum", PERIOD)
        yield Signal("GatewayUnhealthy", ill, 0, "A container of the gateway does not answer: ECS replaces it.")
    alerts = gateway.budgets.function.metric("IteratorAge", period=PERIOD, statistic="Maximum")
    yield Signal(
        "BudgetAlertsBehind", alerts, 60_000, "The stream of budgets is over a minute late, so alerts come late."
    )
    usage = ledger.function.metric("IteratorAge", period=PERIOD, statistic="Maximum")
    yield Signal("UsageBehind", usage, 900_000, "Usage reaches the database over 15 minutes late.")


def widgets(gateway: GatewayStack, ledger: Function) -> list[cloudwatch.IWidget]:
    """Return the dashboard's graphs of model calls."""
    tokens = [written(name, "gateway") for name in ("TokensIn", "TokensOut")]
    first_byte = [written("FirstByte", "gateway", statistic) for statistic in ("p50", "p99")]
    stops = [written("LoopStoodStill", "gateway", "Maximum")]
    trouble = [written(name, "gateway") for name in ("UpstreamFailures", "Failovers")]
    outstanding = [written("ReservationsOutstanding", "budgets", "Maximum")]
    unsettled = [written(name, "gateway") for name in ("SettleFailures", "LateSettles", "ClaimsExceeded")]
    ages = [f.function.metric("IteratorAge", statistic="Maximum") for f in (gateway.budgets, ledger)]
    drift = [written("LedgerDrift", "ledger"), written("BudgetAlerts", "budgets")]
    return [
        graph("Model calls", [written("Requests", "gateway")], right=tokens),
        graph(
            "Cost, micro-cents, and calls at one time",
            [written("CostMicroCents", "gateway")],
            right=_at_one_time(gateway),
        ),
        graph("First byte, and longest stop of all streams, ms", first_byte, right=stops),
        graph("Model calls in trouble", trouble, right=_answers(gateway) or ()),
        graph("Reservations", outstanding, right=[written("ReservationsLost", "budgets")]),
        graph("Settling", unsettled),
        graph("Usage behind, ms", ages),
        graph("Drift and alerts", drift),
    ]


def _at_one_time(gateway: GatewayStack) -> list[cloudwatch.IMetric]:
    """Return the number of concurrent calls, or of connections where only those are counted."""
    if gateway.containers:
        return [gateway.containers.balancer.metrics.active_connection_count()]
    return [gateway.gateway.function.metric("ConcurrentExecutions", statistic="Maximum")] if gateway.gateway else []


def _answers(gateway: GatewayStack) -> tuple[cloudwatch.IMetric, cloudwatch.IMetric] | None:
    """Return the gateway's 5xx and all requests to it, as counted by the balancer or Lambda."""
    if gateway.containers:
        target = balancing.HttpCodeTarget.TARGET_5XX_COUNT
        metrics = gateway.containers.balancer.metrics
        return metrics.http_code_target(target, period=PERIOD), metrics.request_count(period=PERIOD)
    if gateway.gateway is None or not gateway.has_url:
        return None
    named = [gateway.gateway.function.metric(name, period=PERIOD, statistic="Sum") for name in URL_METRICS]
    return named[0], named[1]


URL_METRICS = ("Url5xxCount", "UrlRequestCount")
"""Lambda's metrics of a function URL."""
