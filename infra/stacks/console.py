"""The console plane: people, permissions, usage, and their projection to the other planes."""

# jsii's classes do not match their own Protocols by pyright's rules: they name parameters differently.
# pyright: reportArgumentType=false

from typing import Any

from aws_cdk import CfnOutput, CustomResource, Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra import packaging
from infra.constructs.apis import route
from infra.constructs.function import ANALYTICS, CONSOLE, DOCUMENTS, PAYMENTS, Function, Layers, Size
from infra.constructs.queue import dead_letter_queue
from infra.constructs.streams import read_stream
from infra.queues import PROMPT_ATTEMPTS, TIMEOUTS
from infra.routes import API_ROUTES
from infra.stacks.data import DataStack
from infra.stacks.database import DatabaseAccess
from infra.stacks.sharing import SharingStack
from infra.stage import Stage
from infra.tables import ACCOUNT_INDEX

SIZES = {
    "identity": Size(timeout=29, memory=1769),
    "console": Size(timeout=29, memory=1769),
    # A whole vCPU, because after a kill a change must be relayed within five seconds, and the start takes most of them.
    "relay": Size(timeout=TIMEOUTS["relay"], memory=1769),
    "mail": Size(timeout=TIMEOUTS["mail"], memory=1024),
    "github": Size(timeout=29, memory=1024),
    "payments": Size(timeout=TIMEOUTS["payments"], memory=1769),
    "ledger": Size(timeout=TIMEOUTS["ledger"], memory=1769),
    "operate": Size(timeout=120, memory=1024),
    "migrate": Size(timeout=900, memory=1024),
}
SERVED = ("identity", "console", "github", "payments")
"""Functions behind the HTTP API."""

WITH_DATABASE = ("console", "relay", "mail", "ledger", "operate", "payments", "migrate")


class ConsoleStack(Stack):
    """Functions `identity`, `console`, `relay`, `mail`, `ledger`, `operate`, `github`, `payments`, `migrate`."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        stage: Stage,
        data: DataStack,
        sharing: SharingStack,
        database: DatabaseAccess,
        **options: Any,
    ) -> None:
        super().__init__(scope, name, **options)
        self._stage = stage
        self._data = data
        self._sharing = sharing
        self._database = database
        self._queues = (data.queues, sharing.queues)
        self._shared_values = {**data.shared_values, **sharing.queues.urls, **database.environment}
        self._layers = Layers.build(self, stage, CONSOLE)
        self.migrate = self._migrate()
        self.migration = self._migration()
        self.identity = self._identity()
        self.console = self._console()
        self.relay = self._relay()
        self.mail = self._mail()
        self.failed = {"ledger": dead_letter_queue(self, "LedgerFailed", stage)}
        self.ledger = self._ledger()
        self.operate = self._operate()
        self.github = self._github()
        self.payments = self._payments()
        with_tables = (self.console, self.relay, self.mail, self.ledger, self.operate, self.payments)
        self.functions = (self.identity, *with_tables, self.github, self.migrate)
        for function in with_tables:
            # Migrate before new code is deployed. A failed migration ends the deployment first.
            function.function.node.add_dependency(self.migration)
        for served in (self.identity, self.console, self.github, self.payments):
            route(served, sharing.http, served.alias, API_ROUTES[served.name])
        for function in self.functions:
            CfnOutput(self, f"{function.name.capitalize()}FunctionName", value=function.function.function_name)
        CfnOutput(self, "LedgerFailedQueueUrl", value=self.failed["ledger"].queue_url)

    @property
    def _unused(self) -> set[str]:
        """Functions that have nothing to do on this stage."""
        used_by = {"github": self._stage.github, "payments": self._stage.stripe}
        return {name for name, setting in used_by.items() if setting is None}

    def _function(self, name: str, layers: Layers | None = None, **own: str) -> Function:
        function = Function(
            self,
            name,
            stage=self._stage,
            layers=layers or self._layers,
            size=SIZES[name],
            shared=self._shared_values,
            own=own,
            network=self._database.network if name in WITH_DATABASE else None,
            # A snapshot has a monthly cost, which is justified only where a person waits for a start.
            waited_for=name in SERVED and name not in self._unused,
        )
        if name in WITH_DATABASE:
            self._database.allow(function)
        for queues in self._queues:
            queues.connect(function)
        return function

    def _migrate(self) -> Function:
        function = self._function("migrate", **self._database.owner_environment)
        self._database.allow_owner(function)
        self._allow_publishing(function)
        return function

    def _migration(self) -> CustomResource:
        """Migrate in every deployment that brings new versions; CloudFormation waits, and fails when it fails.

        It also publishes the document that clients log in by, when that is new.
        """
        if self._stage.local:
            # The emulator invokes as CloudFormation. On AWS the role that deploys does.
            self.migrate.function.grant_invoke(iam.ServicePrincipal("cloudformation.amazonaws.com"))
        return CustomResource(
            self,
            "Migration",
            resource_type="Custom::Migration",
            service_token=self.migrate.function.function_arn,
            service_timeout=Duration.seconds(SIZES["migrate"].timeout),
            properties={
                "Versions": packaging.content_hash(packaging.MIGRATIONS),
                "Site": packaging.content_hash(packaging.LIBRARY / "policies"),
                "PublicUrl": self._stage.public_url,
                # It grants the functions' access, which a new cluster and a new kind of access lack.
                "Step": packaging.content_hash(packaging.LIBRARY / "kit" / "migration_step.py"),
                "Cluster": self._database.cluster_id,
            },
        )

    def _identity(self) -> Function:
        function = self._function("identity")
        self._allow_known(function)
        self._allow_sessions(function)
        function.allow("secretsmanager:GetSecretValue", on=[self._data.console_key_arn, self._data.origin_secret_arn])
        function.allow("kms:Sign", on=[key.key_arn for key in self._data.signing_keys])
        # The playground shows what a call has cost.
        function.allow("dynamodb:Query", on=[self._data.usage.table_arn])
        return function

    def _console(self) -> Function:
        data = self._data
        documents = self._layers.with_list(self, self._stage, DOCUMENTS)
        function = self._function("console", documents, **self._operated())
        self._allow_known(function)
        self._allow_sessions(function)
        self._allow_projecting(function)
        function.allow("dynamodb:BatchGetItem", on=[data.budgets.table_arn])
        # The page of a call shows its budgets.
        function.allow("dynamodb:GetItem", on=[data.usage.table_arn])
        # It signs URLs of exports with its own rights.
        self._allow_exports(function, "s3:GetObject")
        secrets = [data.console_key_arn, data.login_secrets_arn, data.origin_secret_arn]
        function.allow("secretsmanager:GetSecretValue", on=secrets)
        function.allow("kms:GenerateDataKey", "kms:Decrypt", on=[data.credentials_key.key_arn])
        if self._stage.operators:
            self._allow_replaying(function)
        return function

    def _operated(self) -> dict[str, str]:
        """Return the variable with the queues that operators' pages show."""
        if not self._stage.operators:
            return {}
        ends = {**self._data.queues.by_name, **self._sharing.queues.by_name}
        return {"OPERATED_QUEUES": " ".join(f"{name}={it.queue_url}" for name, it in ends.items())}

    def _allow_replaying(self, function: Function) -> None:
        """Let the operators' pages count messages of all queues, and send failed ones to their queue again."""
        queues, failed = self._data.queues.by_name.values(), self._data.failed.values()
        function.allow("sqs:SendMessage", on=[queue.queue_arn for queue in queues])
        function.allow("sqs:ReceiveMessage", "sqs:DeleteMessage", on=[queue.queue_arn for queue in failed])
        counted = (*queues, *failed, *self._sharing.queues.by_name.values(), self._sharing.failed["purge"])
        function.allow("sqs:GetQueueAttributes", on=[queue.queue_arn for queue in counted])

    def _relay(self) -> Function:
        data = self._data
        function = self._function("relay")
        self._allow_known(function)
        self._allow_sessions(function)
        self._allow_projecting(function)
        function.allow("secretsmanager:GetSecretValue", on=[data.console_key_arn])
        # Once a day, because each run wakes the database.
        daily = events.Rule(self, "Daily", schedule=events.Schedule.cron(hour="4", minute="17"))
        tick = events.RuleTargetInput.from_object({"source": "schedule"})
        daily.add_target(targets.LambdaFunction(function.alias, event=tick, retry_attempts=5))
        return function

    def _mail(self) -> Function:
        data = self._data
        function = self._function("mail")
        function.allow("secretsmanager:GetSecretValue", on=[data.console_key_arn])
        identities = [self.format_arn(service="ses", resource=kind, resource_name="*") for kind in SES_RESOURCES]
        # The emulator cannot see the sender's identity in a request to send.
        identities = ["*"] if self._stage.local else identities
        function.allow_any(
            "ses:SendEmail", on=identities, because="The sender's identity belongs to the account, not to this stack."
        )
        return function

    def _ledger(self) -> Function:
        """Create the function that ingests usage, delivers alerts, writes exports, and reconciles every night."""
        data = self._data
        function = self._function("ledger", self._layers.with_list(self, self._stage, ANALYTICS))
        self._allow_known(function)
        self._allow_sessions(function)
        self._allow_projecting(function)
        function.allow("secretsmanager:GetSecretValue", on=[data.console_key_arn])
        function.allow("dynamodb:BatchGetItem", on=[data.budgets.table_arn])
        # Metadata of calls is deleted earlier than the calls.
        function.allow("dynamodb:Query", "dynamodb:UpdateItem", on=[data.usage.table_arn])
        self._allow_exports(function, "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload")
        self._allow_checkpoints(function)
        window = Duration.seconds(1 if self._stage.local else 30)
        # As with the queues, attempts must outlast a database outage of half an hour.
        read_stream(function, data.usage, window=window, failed=self.failed["ledger"], attempts=PROMPT_ATTEMPTS)
        # Right after the relay's run, because the database is awake then.
        nightly = events.Rule(self, "Nightly", schedule=events.Schedule.cron(hour="4", minute="19"))
        tick = events.RuleTargetInput.from_object({"source": "schedule"})
        nightly.add_target(targets.LambdaFunction(function.alias, event=tick, retry_attempts=5))
        return function

    def _operate(self) -> Function:
        """Create the function that operators invoke. Nothing else may invoke it, so a person's AWS rights decide."""
        data = self._data
        function = self._function("operate")
        self._allow_publishing(function)
        self._allow_known(function)
        self._allow_sessions(function)
        self._allow_projecting(function)
        function.allow("secretsmanager:GetSecretValue", on=[data.console_key_arn])
        function.allow("dynamodb:BatchGetItem", on=[data.budgets.table_arn])
        function.allow("dynamodb:Query", on=[data.usage.table_arn])
        self._allow_checkpoints(function)
        return function

    def _allow_checkpoints(self, function: Function) -> None:
        if self._data.ledger_key:
            function.allow("kms:Sign", on=[self._data.ledger_key.key_arn])

    def _github(self) -> Function:
        secret_arn, origin_arn = self._data.github_secret_arn, self._data.origin_secret_arn
        function = self._function("github")
        function.allow("dynamodb:UpdateItem", on=[self._data.sessions.table_arn])
        secrets = [secret_arn, origin_arn] if secret_arn else [origin_arn]
        function.allow("secretsmanager:GetSecretValue", on=secrets)
        return function

    def _payments(self) -> Function:
        """Create the function that sells credit. Its schedule exists only where there is an account at Stripe."""
        data = self._data
        function = self._function("payments", self._layers.with_list(self, self._stage, PAYMENTS))
        self._allow_known(function)
        self._allow_sessions(function)
        self._allow_projecting(function)
        secrets = [data.console_key_arn, data.origin_secret_arn]
        secrets += [data.stripe_secret_arn] if data.stripe_secret_arn else []
        function.allow("secretsmanager:GetSecretValue", on=secrets)
        if self._stage.stripe:
            hourly = events.Rule(self, "Hourly", schedule=events.Schedule.rate(Duration.hours(1)))
            tick = events.RuleTargetInput.from_object({"source": "schedule"})
            hourly.add_target(targets.LambdaFunction(function.alias, event=tick, retry_attempts=2))
        return function

    def _allow_known(self, function: Function) -> None:
        function.allow("dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", on=[self._data.access.table_arn])
        function.allow("kms:GetPublicKey", on=[key.key_arn for key in self._data.signing_keys])

    def _allow_sessions(self, function: Function) -> None:
        table = self._data.sessions.table_arn
        actions = ("GetItem", "BatchGetItem", "PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem")
        function.allow(*(f"dynamodb:{action}" for action in actions), on=[table])
        function.allow("dynamodb:Query", on=[table, f"{table}/index/{ACCOUNT_INDEX}"])

    def _allow_projecting(self, function: Function) -> None:
        function.allow("dynamodb:PutItem", "dynamodb:UpdateItem", on=[self._data.access.table_arn])

    def _allow_publishing(self, function: Function) -> None:
        function.allow_any(
            "s3:GetObject",
            "s3:PutObject",
            on=[self._data.site_objects_arn],
            because="The bucket contains only documents that these functions publish.",
        )

    def _allow_exports(self, function: Function, *actions: str) -> None:
        because = "Names of exports begin with workspaces' ids, which are unknown at deployment."
        function.allow_any(*actions, on=[self._data.exports_arn], because=because)


SES_RESOURCES = ("identity", "configuration-set")
