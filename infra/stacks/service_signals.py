"""Alarms of sharing, functions, queues, mail, database and certificate, for operators."""

# jsii's classes do not match their own Protocols by pyright's rules: they name parameters differently.
# pyright: reportArgumentType=false

from collections.abc import Iterable, Iterator, Mapping, Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sqs as sqs

from infra.constructs.alarms import Signal
from infra.constructs.function import Function
from infra.constructs.metrics import PERIOD, written
from infra.stacks.database import DatabaseAccess
from infra.stacks.sharing import SharingStack

DAY_SECONDS = 86_400
EXPIRES_SOON = 7 * DAY_SECONDS
"""Age of a failed message: half of the 14 days that SQS keeps it."""

MOST_BOUNCES = 0.05
MOST_COMPLAINTS = 0.001
"""Parts of all mails beyond which SES puts an account under review (reference: SES, "Reputation metrics")."""

CERTIFICATE_DAYS = 21
"""ACM renews a certificate 60 days before its end, so three weeks before it something is wrong."""


def of_sharing(sharing: SharingStack, pushers: Sequence[str]) -> Iterator[Signal]:
    """Yield the alarms of both APIs, of uploads, of pushes to viewers and of purges."""
    errors = sharing.http.api.metric_server_error(period=PERIOD, statistic="Sum")
    meaning = "HTTP answers 5xx: clients retry, people see errors."
    yield Signal("ServerErrors", errors, 5, meaning, urgent=True)
    meaning = "Frames of sockets fail in the function or at API Gateway: pages are not live, and publishers retry."
    yield Signal("SocketErrors", _socket_errors(sharing), 5, meaning)
    for service in pushers:
        failed = written("FailedPostCount", service)
        meaning = f"Posts of {service} to viewers fail: pages fall behind until they resume."
        yield Signal(f"{service.capitalize()}FailedPosts", failed, 100, meaning, runbook="FailedPosts")
    refused = written("BodyTooLargeCount", "share")
    meaning = "Uploads were refused as too large (413): shares stay empty, or miss what was in them."
    yield Signal("UploadsTooLarge", refused, 0, meaning)
    leftovers = written("PurgeLeftOverCount", "purge")
    meaning = "A verification found leftovers of a purge: a writer ran after the removal."
    yield Signal("PurgeLeftOvers", leftovers, 0, meaning)
    age = sharing.snapshot.function.metric("IteratorAge", period=PERIOD, statistic="Maximum")
    yield Signal("StreamBehind", age, 60_000, "Snapshots are over a minute behind: first loads get slower.")


def of_functions(functions: Iterable[Function]) -> Iterator[Signal]:
    """Yield two alarms of each function."""
    for function in functions:
        title, deployed = function.name.capitalize(), function.function
        meaning = f"Function {function.name} failed: see its log."
        errors = deployed.metric_errors(period=PERIOD)
        yield Signal(f"{title}Errors", errors, 0, meaning, runbook="FunctionErrors")
        throttles = deployed.metric_throttles(period=PERIOD)
        meaning = f"Function {function.name} was throttled: raise the account's concurrency."
        yield Signal(f"{title}Throttles", throttles, 0, meaning, runbook="FunctionThrottles")


def of_failed_messages(queues: Mapping[str, sqs.Queue]) -> Iterator[Signal]:
    """Yield two alarms of each dead-letter queue: it has messages, and they are about to be lost."""
    for name, queue in queues.items():
        visible = queue.metric_approximate_number_of_messages_visible(period=PERIOD, statistic="Maximum")
        meaning = f"A message of {name} failed for good: look into its queue, then redrive it."
        yield Signal(f"{name.capitalize()}Failed", visible, 0, meaning, runbook="MessagesFailed")
        age = queue.metric_approximate_age_of_oldest_message(period=PERIOD, statistic="Maximum")
        meaning = f"A failed message of {name} is lost in a week at the latest: redrive it, or save it."
        yield Signal(f"{name.capitalize()}FailedExpires", age, EXPIRES_SOON, meaning, runbook="MessagesExpire")


def of_console(queues: Mapping[str, sqs.Queue], database: DatabaseAccess) -> Iterator[Signal]:
    """Yield the alarms of projections, of Stripe, of egress and of the database."""
    age = queues["relay"].metric_approximate_age_of_oldest_message(period=PERIOD, statistic="Maximum")
    meaning = "A change has not reached the other planes for over a minute: revoked keys may still work."
    yield Signal("ProjectionsBehind", age, 60, meaning, urgent=True)
    meaning = "An event of Stripe does not fit the books and waits for a person (docs/stripe.md)."
    yield Signal("StripeEventsKept", written("StripeEventKept", "payments"), 0, meaning)
    meaning = "A second payment of a plan is not paid back after a day (docs/stripe.md)."
    yield Signal("SecondSubscriptionsOpen", written("SecondSubscriptionOpen", "payments"), 0, meaning)
    meaning = "A workspace was charged three times within an hour by its automatic reloads (docs/stripe.md)."
    yield Signal("ReloadStorms", written("ReloadStorm", "payments"), 0, meaning)
    if database.egress_failures:
        meaning = "Functions beside the database do not reach the internet: no sign-in, no mail, no webhooks."
        yield Signal("EgressFails", database.egress_failures, 0, meaning, urgent=True)
    if database.cluster:
        meaning = "The database is at its maximum size: raise database.max_acu."
        yield Signal("DatabaseFull", of_database(database, "ACUUtilization"), 90, meaning, urgent=True)


def of_mail() -> Iterator[Signal]:
    """Yield the alarms of SES's account, which all stages of the account share."""
    meaning = "Over 5 % of the account's mails bounce: SES stops an account that goes on."
    yield Signal("MailBounces", _reputation("BounceRate"), MOST_BOUNCES, meaning)
    meaning = "One recipient of 1,000 reports mail of the account as spam: SES stops an account that goes on."
    yield Signal("MailComplaints", _reputation("ComplaintRate"), MOST_COMPLAINTS, meaning)


def of_releases() -> Signal:
    """Return the alarm of a newer release. It is raised until the deployment is the newest one."""
    newer = written("NewerRelease", "relay").with_(period=Duration.days(1))
    return Signal("ReleaseAvailable", newer, 0, "A newer release exists: read its notes, and update.")


def of_certificate(arn: str) -> Signal:
    """Return the alarm of a certificate that was not renewed. Its metric is in the certificate's own region."""
    left = cloudwatch.Metric(
        namespace="AWS/CertificateManager",
        metric_name="DaysToExpiry",
        dimensions_map={"CertificateArn": arn},
        statistic="Minimum",
        period=Duration.days(1),
    )
    past = cloudwatch.MathExpression(
        expression=f"{CERTIFICATE_DAYS} - days",
        using_metrics={"days": left},
        label="days too late",
        period=Duration.days(1),
    )
    meaning = f"The certificate of the public address ends in less than {CERTIFICATE_DAYS} days, and is not renewed."
    return Signal("CertificateEnds", past, 0, meaning)


def of_database(database: DatabaseAccess, name: str, statistic: str = "Average") -> cloudwatch.Metric:
    """Return a metric of the cluster.

    Raises:
        ValueError: On stage local, which has no cluster.
    """
    if database.cluster is None:
        raise ValueError("stage local has no cluster")
    return cloudwatch.Metric(
        namespace="AWS/RDS",
        metric_name=name,
        dimensions_map={"DBClusterIdentifier": database.cluster_name},
        statistic=statistic,
        period=PERIOD,
    )


def _socket_errors(sharing: SharingStack) -> cloudwatch.MathExpression:
    api = sharing.websocket.api
    counted = {name[0].lower() + name[1:]: name for name in ("ExecutionError", "IntegrationError")}
    return cloudwatch.MathExpression(
        expression=" + ".join(f"FILL({it}, 0)" for it in counted),
        using_metrics={it: api.metric(name, period=PERIOD, statistic="Sum") for it, name in counted.items()},
        label="failed frames",
        period=PERIOD,
    )


def _reputation(name: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/SES", metric_name=f"Reputation.{name}", statistic="Average", period=Duration.hours(1)
    )
