"""For operators: dashboard, alarms and their topic."""

# jsii's classes do not match their own Protocols by pyright's rules: they name parameters differently.
# pyright: reportArgumentType=false

from typing import Any

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.constructs.metrics import PERIOD, graph, total, written
from infra.constructs.nag import acknowledge
from infra.constructs.queue import PLAIN_HTTP
from infra.constructs.references import weakly
from infra.stacks import hub_signals, model_calls
from infra.stacks.console import ConsoleStack
from infra.stacks.data import DataStack
from infra.stacks.database import DatabaseAccess
from infra.stacks.gateway import GatewayStack
from infra.stacks.hub import HubStack
from infra.stacks.sharing import SharingStack
from infra.stage import Stage

PUBLISHERS = ("share", "live")
PUSHERS = ("share", "live", "deliver")


class ObservabilityStack(Stack):
    """Dashboard and alarms of all planes; alarms go to a topic, and to an address when the stage names one."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        stage: Stage,
        data: DataStack,
        sharing: SharingStack,
        console: ConsoleStack,
        gateway: GatewayStack,
        hub: HubStack | None,
        database: DatabaseAccess,
        **options: Any,
    ) -> None:
        super().__init__(scope, name, **options)
        self._sharing = sharing
        hubs = ("hub",) if hub else ()
        self._publishers, self._pushers = (*PUBLISHERS, *hubs), (*PUSHERS, *hubs)
        self._functions = [*sharing.functions, *console.functions, *gateway.functions]
        self._failed = {**sharing.failed, **data.failed, **gateway.failed, **console.failed}
        self._queues = data.queues.by_name
        self._database, self._cluster = database, database.cluster
        self._topic = self._alarm_topic(stage)
        self._service_alarms()
        self._function_alarms()
        self._queue_alarms()
        self._console_alarms()
        for signal in (*model_calls.signals(gateway, console.ledger), *(hub_signals.signals(hub) if hub else ())):
            if stage.local and isinstance(signal.metric, cloudwatch.MathExpression):
                continue  # the emulator has no alarms on expressions
            self._alarm(signal.name, signal.metric, signal.threshold, signal.meaning)
        board = cloudwatch.Dashboard(self, "Dashboard", default_interval=Duration.hours(3))
        board.add_widgets(*self._traffic_widgets())
        board.add_widgets(*self._sharing_widgets())
        board.add_widgets(*self._function_widgets())
        board.add_widgets(*self._console_widgets())
        board.add_widgets(*model_calls.widgets(gateway, console.ledger))
        if hub:
            board.add_widgets(*hub_signals.widgets(hub))
        CfnOutput(self, "AlarmTopicArn", value=self._topic.topic_arn)
        CfnOutput(self, "DashboardName", value=board.dashboard_name)

    def _alarm_topic(self, stage: Stage) -> sns.Topic:
        topic = sns.Topic(self, "Alarms", enforce_ssl=not stage.local)
        if stage.local:
            acknowledge(topic, PLAIN_HTTP, "SNS3")
        # The topic's policy replaces SNS's own, which lets the whole account publish.
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="Alarms",
                actions=["sns:Publish"],
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                resources=[topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": self.account}},
            )
        )
        if stage.alarm_email:
            topic.add_subscription(subscriptions.EmailSubscription(stage.alarm_email))
        return topic

    def _alarm(self, name: str, metric: cloudwatch.IMetric, threshold: float, meaning: str) -> None:
        """Alarm when `metric` exceeds `threshold` within five minutes; no data means that nothing happened."""
        alarm = cloudwatch.Alarm(
            self,
            name,
            alarm_description=meaning,
            metric=metric,
            threshold=threshold,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(self._topic))

    def _service_alarms(self) -> None:
        errors = self._sharing.http.api.metric_server_error(period=PERIOD, statistic="Sum")
        self._alarm("ServerErrors", errors, 5, "HTTP answers 5xx: clients retry, people see errors.")
        for service in self._pushers:
            failed = written("FailedPostCount", service)
            meaning = f"Posts of {service} to viewers fail: pages fall behind until they resume."
            self._alarm(f"{service.capitalize()}FailedPosts", failed, 100, meaning)
        refused = written("BodyTooLargeCount", "share")
        meaning = "Uploads were refused as too large (413): shares stay empty, or miss what was in them."
        self._alarm("UploadsTooLarge", refused, 0, meaning)
        leftovers = written("PurgeLeftOverCount", "purge")
        self._alarm(
            "PurgeLeftOvers", leftovers, 0, "A verification found leftovers of a purge: a writer ran after the removal."
        )
        age = self._sharing.snapshot.function.metric("IteratorAge", period=PERIOD, statistic="Maximum")
        self._alarm("StreamBehind", age, 60_000, "Snapshots are over a minute behind: first loads get slower.")

    def _function_alarms(self) -> None:
        for function in self._functions:
            title, deployed = function.name.capitalize(), function.function
            errors = deployed.metric_errors(period=PERIOD)
            self._alarm(f"{title}Errors", errors, 0, f"Function {function.name} failed: see its log.")
            throttles = deployed.metric_throttles(period=PERIOD)
            meaning = f"Function {function.name} was throttled: raise the account's concurrency."
            self._alarm(f"{title}Throttles", throttles, 0, meaning)

    def _queue_alarms(self) -> None:
        for name, queue in self._failed.items():
            visible = queue.metric_approximate_number_of_messages_visible(period=PERIOD, statistic="Maximum")
            meaning = f"A message of {name} failed for good: look into its queue, then redrive it."
            self._alarm(f"{name.capitalize()}Failed", visible, 0, meaning)

    def _console_alarms(self) -> None:
        age = self._queues["relay"].metric_approximate_age_of_oldest_message(period=PERIOD, statistic="Maximum")
        meaning = "A change has not reached the other planes for over a minute: revoked keys may still work."
        self._alarm("ProjectionsBehind", age, 60, meaning)
        meaning = "An event of Stripe does not fit the books and waits for a person (docs/stripe.md)."
        self._alarm("StripeEventsKept", written("StripeEventKept", "payments"), 0, meaning)
        meaning = "A workspace was charged three times within an hour by its automatic reloads (docs/stripe.md)."
        self._alarm("ReloadStorms", written("ReloadStorm", "payments"), 0, meaning)
        if self._cluster:
            busy = self._of_database("ACUUtilization")
            if self._database.egress_failures:
                meaning = "Functions beside the database do not reach the internet: no sign-in, no mail, no webhooks."
                self._alarm("EgressFails", self._database.egress_failures, 0, meaning)
            self._alarm("DatabaseFull", busy, 90, "The database is at its maximum size: raise database.max_acu.")

    def _of_database(self, name: str, statistic: str = "Average") -> cloudwatch.Metric:
        if self._cluster is None:
            raise ValueError("stage local has no cluster")
        return cloudwatch.Metric(
            namespace="AWS/RDS",
            metric_name=name,
            dimensions_map={"DBClusterIdentifier": weakly(self._cluster.cluster_identifier)},
            statistic=statistic,
            period=PERIOD,
        )

    def _console_widgets(self) -> list[cloudwatch.IWidget]:
        ages = [queue.metric_approximate_age_of_oldest_message() for queue in self._queues.values()]
        widgets: list[cloudwatch.IWidget] = [graph("Oldest message, s", ages)]
        if self._cluster:
            used = [self._of_database("ServerlessDatabaseCapacity")]
            connections = self._of_database("DatabaseConnections", "Maximum")
            widgets.append(graph("Database, ACUs and connections", used, right=[connections]))
        return widgets

    def _traffic_widgets(self) -> list[cloudwatch.IWidget]:
        http, websocket = self._sharing.http.api, self._sharing.websocket.api
        counted = ("ConnectCount", "MessageCount", "ExecutionError")
        return [
            graph("HTTP requests", [http.metric_count(), http.metric_client_error(), http.metric_server_error()]),
            graph("HTTP latency", [http.metric_latency(statistic=s) for s in ("p50", "p99")]),
            graph("WebSockets", [websocket.metric(name, statistic="Sum") for name in counted]),
        ]

    def _sharing_widgets(self) -> list[cloudwatch.IWidget]:
        published = [total(name, self._publishers) for name in ("CommitCount", "ItemCount")]
        latency = [written("FanOutLatency", service, s) for service in PUBLISHERS for s in ("p50", "p99")]
        trouble = [total("FailedPostCount", self._pushers), written("PurgeLeftOverCount", "purge")]
        return [
            graph("Published", published, right=[total("ByteCount", self._publishers)]),
            graph("Commit to pushed, ms", latency),
            graph("Resumes", [written("ResumeCount", "live")]),
            graph("Trouble", [*trouble, written("BodyTooLargeCount", "share")]),
        ]

    def _function_widgets(self) -> list[cloudwatch.IWidget]:
        functions = [f.function for f in self._functions]
        queues = list(self._failed.values())
        return [
            graph("Duration, p99", [f.metric_duration(statistic="p99") for f in functions]),
            graph("Errors", [f.metric_errors() for f in functions], right=[f.metric_throttles() for f in functions]),
            graph("Failed for good", [queue.metric_approximate_number_of_messages_visible() for queue in queues]),
        ]
