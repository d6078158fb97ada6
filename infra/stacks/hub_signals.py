"""Graphs and alarms of hubs, for operators (docs/decisions/029)."""

# jsii's classes do not match their own Protocols by pyright's rules: they name parameters differently.
# pyright: reportArgumentType=false

from collections.abc import Iterator

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_elasticloadbalancingv2 as balancing

from infra.constructs.alarms import Signal
from infra.constructs.metrics import PERIOD, graph, total, written
from infra.stacks.hub import HubStack
from infra.stacks.sharing import POSTERS

SENDERS = (*POSTERS, "hub")
MOST_REFUSED_POSTS = 100
"""Anybody can send a post to the public address, so a few refused ones mean nothing."""


def signals(hub: HubStack) -> Iterator[Signal]:
    """Yield the alarms that should wake an operator."""
    ill = hub.containers.hosts("UnHealthyHostCount", "Maximum", PERIOD)
    yield Signal("HubUnhealthy", ill, 0, "A hub does not answer its health check: ECS replaces it.")
    failing = "Hubs answer 5xx, or none of them answers: clients retry, people see errors."
    yield Signal("HubServerErrors", _server_errors(hub), 5, failing, urgent=True)
    dead = "A hub that has viewers did not take a post, so its row was deleted. Its pages resume at another hub."
    yield Signal("HubsDead", total("DeadHubCount", SENDERS), 0, dead)
    forged = "The viewers of a share name a hub without a valid signature: somebody else wrote the row."
    yield Signal("HubRowsForged", total("ForgedHubCount", SENDERS), 0, forged)
    refused = "Hubs refuse posts: somebody sends them without the secret of hubs, or the senders have an old one."
    yield Signal("HubPostsRefused", written("RefusedPostCount", "hub"), MOST_REFUSED_POSTS, refused)


def widgets(hub: HubStack) -> list[cloudwatch.IWidget]:
    """Return the dashboard's graphs of hubs."""
    tasks = hub.containers
    hosts = [tasks.hosts("HealthyHostCount", "Minimum", PERIOD), tasks.hosts("UnHealthyHostCount", "Maximum", PERIOD)]
    doubtful = [total("ForgedHubCount", SENDERS), written("RefusedPostCount", "hub")]
    left = [total("DeadHubCount", SENDERS), written("LeftHubRowCount", "hub")]
    return [
        graph("Hubs, healthy and not", hosts, right=[_server_errors(hub)]),
        graph(
            "Readers that stall, and longest stop of all sockets, ms",
            [written("StalledSocketCount", "hub")],
            right=[written("LoopStoodStill", "hub", "Maximum")],
        ),
        graph("Rows of dead hubs, and failed tasks", left, right=[written("FailedTaskCount", "hub")]),
        graph("Rows and posts that no hub signed", doubtful),
    ]


def _server_errors(hub: HubStack) -> cloudwatch.MathExpression:
    """Return the answers 5xx of hubs, and those of the balancer when no hub answers."""
    metrics = hub.containers.balancer.metrics
    return cloudwatch.MathExpression(
        expression="FILL(hubs, 0) + FILL(balancer, 0)",
        using_metrics={
            "hubs": metrics.http_code_target(balancing.HttpCodeTarget.TARGET_5XX_COUNT, period=PERIOD),
            "balancer": metrics.http_code_elb(balancing.HttpCodeElb.ELB_5XX_COUNT, period=PERIOD),
        },
        label="5xx",
        period=PERIOD,
    )
