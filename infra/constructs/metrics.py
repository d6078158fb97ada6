"""Metrics that our code writes, and the graphs that show them."""

# jsii's classes do not match their own Protocols by pyright's rules: they name parameters differently.
# pyright: reportArgumentType=false

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from infra.constructs.function import NAMESPACE

PERIOD = Duration.minutes(5)


def written(name: str, service: str, statistic: str = "Sum") -> cloudwatch.Metric:
    """Return a metric that functions write, or that the gateway's log yields."""
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=name,
        dimensions_map={"service": service},
        statistic=statistic,
        period=PERIOD,
    )


def total(name: str, services: Sequence[str]) -> cloudwatch.MathExpression:
    """Return the sum of a metric over services; a service that wrote none counts as zero."""
    metrics = {f"{name[0].lower()}{name[1:]}_{service}": written(name, service) for service in services}
    expression = " + ".join(f"FILL({identifier}, 0)" for identifier in metrics)
    return cloudwatch.MathExpression(expression=expression, using_metrics=metrics, label=name, period=PERIOD)


def share(
    part: cloudwatch.IMetric, whole: cloudwatch.IMetric, *, at_least: int, label: str
) -> cloudwatch.MathExpression:
    """Return the percentage of `part` in `whole`; 0 while `whole` is below `at_least`, too few to be meaningful."""
    return cloudwatch.MathExpression(
        expression=f"IF(FILL(whole, 0) >= {at_least}, 100 * FILL(part, 0) / whole, 0)",
        using_metrics={"part": part, "whole": whole},
        label=label,
        period=PERIOD,
    )


def graph(
    title: str, left: Sequence[cloudwatch.IMetric], right: Sequence[cloudwatch.IMetric] = ()
) -> cloudwatch.GraphWidget:
    """Return a graph of a quarter of the dashboard's width."""
    return cloudwatch.GraphWidget(title=title, left=list(left), right=list(right), width=6)
