"""The gateway plane: model calls, and the sweep of unsettled reservations."""

# jsii's classes do not match their own Protocols by pyright's rules: they name parameters differently.
# pyright: reportArgumentType=false

from typing import Any

from aws_cdk import CfnOutput, Duration, Fn
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.constructs.containers import DRAINING, PORT, Containers, ContainerService
from infra.constructs.function import GATEWAY, Function, Layers, Size
from infra.constructs.queue import dead_letter_queue
from infra.constructs.references import published
from infra.constructs.streams import read_stream
from infra.constructs.workload import Workload
from infra.constructs.zones import ZonedStack
from infra.stacks.data import DataStack
from infra.stage import Stage
from infra.tables import LEASES_INDEX

CALL_SECONDS = 900
"""Time limit of one model call: Lambda's own limit."""

HEALTH = "/zen/v1/health"
CIDR = "10.75.0.0/22"
VCPU = 1024
"""CPU units of one processor. A process uses at most one processor."""

LONGEST_BODY = 32 * 1024 * 1024
"""Bytes of a request to a container; a function takes 6 MB."""

ADAPTER_ACCOUNT = "753240598075"
ADAPTER_LAYERS = {"arm64": "LambdaAdapterLayerArm64:30", "x86_64": "LambdaAdapterLayerX86:30"}
"""AWS Lambda Web Adapter 1.1.0 by architecture, as AWS publishes it in every region."""

ADAPTER_SETTINGS = {
    "AWS_LAMBDA_EXEC_WRAPPER": "/opt/bootstrap",
    # The start goes on after the ten seconds that Lambda has for it, instead of beginning again.
    "AWS_LWA_ASYNC_INIT": "true",
    "AWS_LWA_INVOKE_MODE": "response_stream",
    "AWS_LWA_PORT": str(PORT),
    "AWS_LWA_READINESS_CHECK_PATH": HEALTH,
    "AWS_LWA_READINESS_CHECK_HEALTHY_STATUS": "200",
}
XRAY_ACTIONS = ("xray:PutSpans", "xray:PutSpansForIndexing", "xray:PutTraceSegments")
BEDROCK_ACTIONS = ("bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream")


class GatewayStack(ZonedStack):
    """`gateway`, which streams, as a function or as containers; function `budgets`, which sweeps reservations."""

    def __init__(self, scope: Construct, name: str, *, stage: Stage, data: DataStack, **options: Any) -> None:
        super().__init__(scope, name, stage=stage, **options)
        self._stage = stage
        self._data = data
        self._layers = Layers.build(self, stage, GATEWAY)
        self.failed = {"budgets": dead_letter_queue(self, "BudgetsFailed", stage)}
        contained = stage.gateway.runtime == "container"
        self.containers = self._containers() if contained else None
        self.gateway = None if contained else self._gateway()
        self._host = self._function_host(self.gateway) if self.gateway and not stage.local else None
        """The host of the function's URL, for the CDN only. Stage local runs the gateway beside the emulator."""
        self.budgets = self._budgets()
        self.functions = tuple(filter(None, (self.gateway, self.budgets)))
        for function in self.functions:
            CfnOutput(self, f"{function.name.capitalize()}FunctionName", value=function.function.function_name)
        CfnOutput(self, "BudgetsFailedQueueUrl", value=self.failed["budgets"].queue_url)

    def _containers(self) -> Containers:
        settings = self._stage.gateway
        processes = max(1, settings.task_cpu // VCPU)
        streams = str(max(1, settings.streams_per_task // processes))
        service = ContainerService(
            name="gateway",
            cidr=CIDR,
            health=HEALTH,
            cpu=settings.task_cpu,
            memory=settings.task_memory,
            least_tasks=settings.least_tasks,
            most_tasks=settings.most_tasks,
            # At one minute each, this is the number of concurrent streams.
            requests_per_task=settings.streams_per_task // 2 or 1,
        )
        containers = Containers(
            self,
            service,
            stage=self._stage,
            shared=self._data.shared_values,
            own={"LONGEST_BODY": str(LONGEST_BODY), "GATEWAY_STREAMS": streams},
            serving={
                "PORT": str(PORT),
                # The rest of the time is for settlements.
                "GATEWAY_GRACE": str(int(DRAINING.to_seconds()) - 20),
                "GATEWAY_WORKERS": str(processes),
            },
        )
        self._allow_gateway(containers)
        return containers

    def _gateway(self) -> Function:
        stage = self._stage
        # The emulator collects a stream until its end, so the laptop serves the same code directly (local/gateway.py).
        layers = self._layers if stage.local else self._layers.under(self._adapter())
        function = Function(
            self,
            "gateway",
            stage=stage,
            layers=layers,
            size=Size(timeout=CALL_SECONDS, memory=stage.gateway.memory),
            shared=self._data.shared_values,
            runtime_environment={} if stage.local else ADAPTER_SETTINGS,
            # Snapshots of a process that serves HTTP were not tried (docs/deploy.md).
            waited_for=False,
            shifted=True,
            handler="run.sh",
            concurrency=stage.gateway.concurrency or None,
        )
        self._allow_gateway(function)
        return function

    def _adapter(self) -> lambda_.ILayerVersion:
        layer = ADAPTER_LAYERS[self._stage.architecture]
        arn = f"arn:{self.partition}:lambda:{self.region}:{ADAPTER_ACCOUNT}:layer:{layer}"
        return lambda_.LayerVersion.from_layer_version_arn(self, "WebAdapter", arn)

    def _function_host(self, function: Function) -> str:
        url = function.alias.add_function_url(
            auth_type=lambda_.FunctionUrlAuthType.NONE, invoke_mode=lambda_.InvokeMode.RESPONSE_STREAM
        )
        return published(self, "GatewayFunctionUrlHost", Fn.select(2, Fn.split("/", url.url)))

    @property
    def has_url(self) -> bool:
        """True if the CDN reaches the gateway by a function's URL."""
        return self._host is not None

    def origin(self, **options: Any) -> cloudfront.IOrigin:
        """Return the gateway as an origin of the CDN; `options` are those of any origin over HTTP.

        Raises:
            ValueError: On stage local, which has no CDN.
        """
        if self.containers:
            private = cloudfront.OriginProtocolPolicy.HTTP_ONLY
            balancer = self.containers.balancer
            return origins.VpcOrigin.with_application_load_balancer(balancer, protocol_policy=private, **options)
        if self._host is None:
            raise ValueError("stage local has no CDN")
        return origins.HttpOrigin(
            self._host,
            protocol_policy=cloudfront.OriginProtocolPolicy.HTTPS_ONLY,
            origin_ssl_protocols=[cloudfront.OriginSslPolicy.TLS_V1_2],
            **options,
        )

    def _allow_gateway(self, workload: Workload) -> None:
        """Let the gateway read people, reserve and settle budgets, open providers' credentials, and invoke Bedrock."""
        data = self._data
        readable = [data.access.table_arn, data.sessions.table_arn]
        workload.allow("dynamodb:GetItem", "dynamodb:BatchGetItem", on=readable)
        workload.allow_rows("UpdateItem", table=data.sessions.table_arn, keys=["key_use#*"])
        actions = ("BatchGetItem", "Query", "PutItem", "UpdateItem", "DeleteItem")
        workload.allow(*(f"dynamodb:{action}" for action in actions), on=[data.budgets.table_arn])
        # It reads events of calls that it cannot settle, to see whether they were settled or swept.
        workload.allow("dynamodb:BatchGetItem", "dynamodb:PutItem", on=[data.usage.table_arn])
        workload.allow("kms:GetPublicKey", on=[key.key_arn for key in data.signing_keys])
        workload.allow("kms:Decrypt", on=[data.credentials_key.key_arn])
        workload.allow("secretsmanager:GetSecretValue", on=[data.upstream_keys_arn, data.origin_secret_arn])
        # It keeps refusals of calls in the audit trail.
        workload.allow("sqs:SendMessage", on=[data.queues.by_name["audit"].queue_arn])
        if self._stage.traces_to_xray:
            workload.allow_any(*XRAY_ACTIONS, on=["*"], because="X-Ray has no resources of spans.")
        own = f"arn:{self.partition}:bedrock:*:{self.account}"
        workload.allow_any(
            *BEDROCK_ACTIONS,
            on=[
                f"arn:{self.partition}:bedrock:*::foundation-model/*",
                f"{own}:inference-profile/*",
                f"{own}:application-inference-profile/*",
            ],
            because="The catalogue names models and regions, and it changes without a deployment.",
        )

    def _budgets(self) -> Function:
        data = self._data
        function = Function(
            self,
            "budgets",
            stage=self._stage,
            layers=self._layers,
            size=Size(timeout=60, memory=512),
            shared=data.shared_values,
            waited_for=False,
        )
        rows = ("GetItem", "BatchGetItem", "UpdateItem", "DeleteItem")
        function.allow(*(f"dynamodb:{action}" for action in rows), on=[data.budgets.table_arn])
        function.allow("dynamodb:Query", on=[f"{data.budgets.table_arn}/index/{LEASES_INDEX}"])
        function.allow("dynamodb:PutItem", on=[data.usage.table_arn])
        data.queues.connect(function)
        read_stream(
            function, data.usage, window=Duration.seconds(1 if self._stage.local else 5), failed=self.failed["budgets"]
        )
        minutely = events.Rule(self, "Leases", schedule=events.Schedule.rate(Duration.minutes(1)))
        tick = events.RuleTargetInput.from_object({"source": "schedule"})
        minutely.add_target(targets.LambdaFunction(function.alias, event=tick, retry_attempts=0))
        return function
