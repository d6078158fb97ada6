"""The sync plane: two APIs, five functions, the queue of purges."""

# jsii's classes do not match their own Protocols by pyright's rules: they name parameters differently.
# pyright: reportArgumentType=false

from collections.abc import Mapping
from typing import Any

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_lambda_event_sources as sources
from constructs import Construct

from infra.constructs.apis import HttpGateway, WebSocketGateway, route
from infra.constructs.function import Function, Layers, Size
from infra.constructs.nag import acknowledge
from infra.constructs.queue import Queues, dead_letter_queue
from infra.constructs.workload import Workload
from infra.queues import SHARING_QUEUES, TIMEOUTS
from infra.routes import API_ROUTES
from infra.stacks.data import DataStack
from infra.stage import Stage
from infra.tables import EXPIRY_INDEX, OWNER_INDEX, WORKSPACE_INDEX

HTTP_API_ID = "share-http"
WEBSOCKET_API_ID = "share-ws"
SIZES = {
    "share": Size(timeout=29, memory=1769),
    "live": Size(timeout=29, memory=1024),
    "deliver": Size(timeout=120, memory=1024),
    "hub": Size(timeout=29, memory=1024),
    "snapshot": Size(timeout=40, memory=1769),
    "purge": Size(timeout=TIMEOUTS["purge"], memory=1024),
}
POSTERS = ("share", "live", "deliver", "purge")
"""Functions that tell hubs of commits and of the end of shares."""
IN_BACKGROUND = ("deliver", "snapshot", "purge")
"""Functions without a waiting caller. Each has a queue for its failed invocations."""


class SharingStack(Stack):
    """Functions `share`, `live`, `deliver`, `snapshot`, `purge`, each with exactly the rights that it needs."""

    def __init__(self, scope: Construct, name: str, *, stage: Stage, data: DataStack, **options: Any) -> None:
        super().__init__(scope, name, **options)
        self._stage = stage
        self._data = data
        self._layers = Layers.build(self, stage)
        self.websocket = WebSocketGateway(self, "WebSocket", stage=stage, api_id=WEBSOCKET_API_ID)
        # Also without hubs, because a forgotten stack of hubs would keep this stack from taking the export back.
        self._exported_api_id = self.export_value(self.websocket.api.api_id)
        self.failed = {name: dead_letter_queue(self, f"{name.capitalize()}Failed", stage) for name in IN_BACKGROUND}
        failed = {name: self.failed[it.consumer] for name, it in SHARING_QUEUES.items()}
        self.queues = Queues(self, stage, SHARING_QUEUES, failed)
        self.deliver = self._deliver()
        self.share = self._share()
        self.live = self._live()
        self.snapshot = self._snapshot()
        self.purge = self._purge()
        self.functions = (self.share, self.live, self.deliver, self.snapshot, self.purge)
        self.hub = self._hub_beside_the_emulator() if stage.local else None
        self.http = HttpGateway(self, "Http", stage=stage, api_id=HTTP_API_ID, target=self.share.alias)
        route(self, self.http, self.share.alias, API_ROUTES["share"])
        self.websocket.route(self.live.alias)
        self._outputs()

    def _function(self, name: str, handler: str = "handler.handler", **own: str) -> Function:
        shared = {**self._data.shared_values, **self.queues.urls, "WEBSOCKET_ENDPOINT": self.websocket.endpoint}
        function = Function(
            self,
            name,
            stage=self._stage,
            layers=self._layers,
            size=SIZES[name],
            shared=shared,
            own=own,
            # A snapshot has a monthly cost, which is justified only where a person waits for a start.
            waited_for=name not in IN_BACKGROUND,
            handler=handler,
        )
        if name in POSTERS:
            self._allow_posts(function)
        for queues in (self._data.queues, self.queues):
            queues.connect(function)
        return function

    def _share(self) -> Function:
        function = self._function("share", DELIVER_FUNCTION=self.deliver.alias.function_arn)
        self._allow_http(function)
        self._allow_sockets(function, "POST", "DELETE")
        # Its pages of the console lead to the person's other workspaces.
        function.allow("dynamodb:Query", on=[self._data.access.table_arn])
        return function

    def _allow_http(self, function: Workload) -> None:
        """Let a workload serve all routes of sharing."""
        self._allow_rows(
            function, "GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"
        )
        indexes = [f"{self._data.shares.table_arn}/index/{name}" for name in (WORKSPACE_INDEX, OWNER_INDEX)]
        function.allow("dynamodb:Query", on=indexes)
        self._allow_objects(function, "GetObject", "PutObject", "DeleteObject", "DeleteObjectVersion")
        # With the right to list, a missing object answers 404 instead of 403.
        function.allow("s3:ListBucket", "s3:ListBucketVersions", on=[self._data.bucket.bucket_arn])
        secrets = [self._data.session_key_arn, self._data.admin_secret_arn, self._data.origin_secret_arn]
        function.allow("secretsmanager:GetSecretValue", on=secrets)
        self._allow_known_people(function)
        self._allow_counting(function)
        function.allow("kms:GetPublicKey", on=[key.key_arn for key in self._data.signing_keys])
        self._allow_deliveries(function)

    def _live(self) -> Function:
        function = self._function("live", DELIVER_FUNCTION=self.deliver.alias.function_arn)
        # A client can publish over its socket, which updates titles in the rows of shares.
        self._allow_rows(function, "GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem")
        self._allow_known_people(function)
        self._allow_objects(function, "GetObject", "PutObject")
        connections = self._data.connections.table_arn
        function.allow("dynamodb:UpdateItem", "dynamodb:DeleteItem", on=[connections])
        self._allow_deliveries(function)
        self._allow_sockets(function, "POST", "DELETE")
        return function

    def _deliver(self) -> Function:
        function = self._function("deliver")
        # A rescan rewrites records of a share, and deletes what was made from them.
        self._allow_rows(function, "GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem")
        self._allow_known_people(function)
        function.allow("dynamodb:UpdateItem", on=[self._data.connections.table_arn])
        self._allow_objects(function, "GetObject", "PutObject", "DeleteObject", "DeleteObjectVersion")
        function.allow("s3:ListBucketVersions", on=[self._data.bucket.bucket_arn])
        self._allow_sockets(function, "GET", "POST", "DELETE")
        self._keep_failed_events(function)
        return function

    def _snapshot(self) -> Function:
        function = self._function("snapshot")
        self._allow_rows(function, "GetItem", "Query", "UpdateItem")
        self._allow_objects(function, "GetObject", "PutObject", "DeleteObject", "DeleteObjectVersion")
        function.allow("s3:ListBucketVersions", on=[self._data.bucket.bucket_arn])
        function.alias.add_event_source(
            sources.DynamoEventSource(
                self._data.shares,
                starting_position=lambda_.StartingPosition.TRIM_HORIZON,
                batch_size=1000,
                max_batching_window=Duration.seconds(2),
                filters=[_log_records()],
                report_batch_item_failures=True,
                bisect_batch_on_error=True,
                retry_attempts=10,
                on_failure=sources.SqsDlq(self.failed["snapshot"]),
            )
        )
        acknowledge(
            function.role,
            "dynamodb:ListStreams, which the event source needs, takes no narrower resource.",
            "IAM5[Resource::*]",
        )
        return function

    def _purge(self) -> Function:
        function = self._function("purge")
        shares = self._data.shares.table_arn
        self._allow_rows(function, "GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem")
        function.allow("dynamodb:Query", on=[f"{shares}/index/{name}" for name in (EXPIRY_INDEX, WORKSPACE_INDEX)])
        self._allow_objects(function, "DeleteObject", "DeleteObjectVersion")
        function.allow("s3:ListBucketVersions", on=[self._data.bucket.bucket_arn])
        self._allow_sockets(function, "POST", "DELETE")
        self._keep_failed_events(function)
        schedule = events.Rule(self, "ExpirySchedule", schedule=events.Schedule.rate(Duration.minutes(5)))
        tick = events.RuleTargetInput.from_object({"source": "schedule"})
        schedule.add_target(targets.LambdaFunction(function.alias, event=tick, retry_attempts=2))
        return function

    def allow_hub(self, hub: Workload) -> None:
        """Let a hub do the work of `share`, `live` and `deliver`, and delete all its rows when it stops."""
        self._allow_http(hub)
        self._allow_posts(hub)
        elsewhere = Stack.of(hub) is not self
        api_id = self._exported_api_id if elsewhere else self.websocket.api.api_id
        self._allow_sockets(hub, "GET", "POST", "DELETE", api_id=api_id)

    def hub_values(self) -> dict[str, str]:
        """Return the values of a hub's variables that this stack knows."""
        return {
            **self.queues.urls,
            "WEBSOCKET_ENDPOINT": self.websocket.endpoint,
            "DELIVER_FUNCTION": self.deliver.alias.function_arn,
        }

    def _hub_beside_the_emulator(self) -> Function:
        """Return a function that is never called. The hub on a laptop has its settings and its role (local/hub.py)."""
        function = self._function("hub", handler="run.sh", DELIVER_FUNCTION=self.deliver.alias.function_arn)
        self.allow_hub(function)
        return function

    def _allow_rows(self, function: Workload, *actions: str) -> None:
        function.allow(*(f"dynamodb:{action}" for action in actions), on=[self._data.shares.table_arn])

    def _allow_posts(self, workload: Workload) -> None:
        """Let a workload sign posts to hubs."""
        if self._stage.has_hubs:
            workload.allow("secretsmanager:GetSecretValue", on=[self._data.hub_secret_arn])

    def _allow_known_people(self, function: Workload) -> None:
        readable = [self._data.access.table_arn, self._data.sessions.table_arn]
        function.allow("dynamodb:GetItem", "dynamodb:BatchGetItem", on=readable)

    def _allow_counting(self, function: Workload) -> None:
        """Let a function count requests and uses of keys beside the sessions, and keep answers of repeated requests.

        It writes nothing else there.
        """
        rows = {"UpdateItem": ["rate#*", "key_use#*", "idempotency#*"]}
        rows |= {action: ["idempotency#*"] for action in ("PutItem", "DeleteItem")}
        for action, keys in rows.items():
            function.allow_rows(action, table=self._data.sessions.table_arn, keys=keys)

    def _allow_objects(self, function: Workload, *actions: str) -> None:
        function.allow_any(
            *(f"s3:{action}" for action in actions),
            on=[self._data.objects_arn],
            because="Names of objects begin with share ids, which are unknown at deployment.",
        )

    def _allow_deliveries(self, function: Workload) -> None:
        function.allow("lambda:InvokeFunction", on=[self.deliver.alias.function_arn])

    def _allow_sockets(self, function: Workload, *methods: str, api_id: str = "") -> None:
        function.allow_any(
            "execute-api:ManageConnections",
            on=[self.websocket.connections(method, api_id) for method in methods],
            because="API Gateway creates connection ids, which are unknown at deployment.",
        )

    def _keep_failed_events(self, function: Function) -> None:
        """Put events of asynchronous invocations that failed for good into the function's dead-letter queue."""
        function.alias.configure_async_invoke(
            on_failure=destinations.SqsDestination(self.failed[function.name]),
            retry_attempts=2,
            max_event_age=Duration.minutes(15),
        )

    def _outputs(self) -> None:
        local = self._stage.local
        outputs = {
            "HttpApiId": self.http.api.api_id,
            "HttpUrl": f"{self._stage.emulator}/_aws/execute-api/{HTTP_API_ID}/$default"
            if local
            else self.http.stage.url,
            "WebSocketApiId": self.websocket.api.api_id,
            "WebSocketUrl": self.websocket.url,
            "WebSocketEndpoint": self.websocket.endpoint,
            "PurgeQueueUrl": self.queues.by_name["purges"].queue_url,
        }
        outputs |= {f"{f.name.capitalize()}FunctionName": f.function.function_name for f in self.functions}
        if self.hub:
            outputs["HubFunctionName"] = self.hub.function.function_name
        outputs |= {f"{name.capitalize()}FailedQueueUrl": failed.queue_url for name, failed in self.failed.items()}
        for key, value in outputs.items():
            CfnOutput(self, key, value=value)


def _log_records() -> Mapping[str, Any]:
    """Return the stream filter that lets only new log records through."""
    return lambda_.FilterCriteria.filter(
        {
            "eventName": lambda_.FilterRule.is_equal("INSERT"),
            "dynamodb": {"Keys": {"sk": {"S": lambda_.FilterRule.begins_with("L#")}}},
        }
    )
