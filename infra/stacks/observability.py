"""For operators: dashboard, alarms and their topic."""

# jsii's classes do not match their own Protocols by pyright's rules: they name parameters differently.
# pyright: reportArgumentType=false

from collections.abc import Iterator
from typing import Any

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.constructs.alarms import Alarms, Signal
from infra.constructs.bill import watch_bill
from infra.constructs.metrics import graph, total, written
from infra.stacks import hub_signals, model_calls, service_signals
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
        self._console = console
        hubs = ("hub",) if hub else ()
        self._publishers, self._pushers = (*PUBLISHERS, *hubs), (*PUSHERS, *hubs)
        self._functions = [*sharing.functions, *console.functions, *gateway.functions]
        self._failed = {**sharing.failed, **data.failed, **gateway.failed, **console.failed}
        self._queues = data.queues.by_name
        self._database = database
        self.alarms = alarms = Alarms(self, stage)
        for signal in self._signals(stage, gateway, hub):
            alarms.add(signal)
        alarms.join()
        if stage.monthly_dollars and stage.alarm_email:
            watch_bill(self, stage.name, stage.monthly_dollars, stage.alarm_email)
        board = cloudwatch.Dashboard(self, "Dashboard", default_interval=Duration.hours(3))
        board.add_widgets(*self._traffic_widgets())
        board.add_widgets(*self._sharing_widgets())
        board.add_widgets(*self._function_widgets())
        board.add_widgets(*self._console_widgets())
        board.add_widgets(*model_calls.widgets(gateway, console.ledger))
        if hub:
            board.add_widgets(*hub_signals.widgets(hub))
        CfnOutput(self, "AlarmTopicArn", value=alarms.topic.topic_arn)
        CfnOutput(self, "DashboardName", value=board.dashboard_name)

    def _signals(self, stage: Stage, gateway: GatewayStack, hub: HubStack | None) -> Iterator[Signal]:
        yield from service_signals.of_sharing(self._sharing, self._pushers)
        yield from service_signals.of_functions(self._functions)
        yield from service_signals.of_failed_messages(self._failed)
        yield from service_signals.of_console(self._queues, self._database)
        if stage.mail_from and not stage.local:
            yield from service_signals.of_mail()
        if stage.releases_url:
            yield service_signals.of_releases()
        yield from model_calls.signals(gateway, self._console.ledger)
        if hub:
            yield from hub_signals.signals(hub)

    def _console_widgets(self) -> list[cloudwatch.IWidget]:
        ages = [queue.metric_approximate_age_of_oldest_message() for queue in self._queues.values()]
        widgets: list[cloudwatch.IWidget] = [graph("Oldest message, s", ages)]
        if self._database.cluster:
            used = [service_signals.of_database(self._database, "ServerlessDatabaseCapacity")]
            connections = service_signals.of_database(self._database, "DatabaseConnections", "Maximum")
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
