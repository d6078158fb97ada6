"""Queues: encrypted, and TLS only on AWS; made from their declarations in infra/queues.py."""

# jsii's classes do not match their own Protocols by pyright's rules: they name parameters differently.
# pyright: reportArgumentType=false

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.function import Function
from infra.constructs.nag import acknowledge
from infra.queues import QueueDeclaration
from infra.stage import Stage

PLAIN_HTTP = "The emulator uses plain HTTP, on 127.0.0.1 only. On AWS the queue accepts only TLS."


def dead_letter_queue(scope: Construct, name: str, stage: Stage) -> sqs.Queue:
    """Create a dead-letter queue. It keeps messages for the longest time that SQS allows."""
    failed = queue(scope, name, stage)
    acknowledge(failed, "This is a dead-letter queue itself.", "SQS3")
    return failed


def queue(
    scope: Construct,
    name: str,
    stage: Stage,
    *,
    visibility: Duration | None = None,
    failed: sqs.DeadLetterQueue | None = None,
) -> sqs.Queue:
    """Create a queue that keeps messages for the longest time that SQS allows."""
    resource = sqs.Queue(
        scope,
        name,
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=not stage.local,
        retention_period=Duration.days(14),
        visibility_timeout=visibility,
        dead_letter_queue=failed,
    )
    if stage.local:
        acknowledge(resource, PLAIN_HTTP, "SQS4")
    return resource


class Queues:
    """The queues of a stack."""

    def __init__(
        self,
        scope: Construct,
        stage: Stage,
        declared: Mapping[str, QueueDeclaration],
        failed: Mapping[str, sqs.Queue],
    ) -> None:
        """Create the queues `declared`. Failed messages go to the queue of the same name in `failed`."""
        self._declared = declared
        self.by_name = {
            name: queue(
                scope,
                name.capitalize(),
                stage,
                visibility=Duration.seconds(it.visibility_seconds),
                failed=sqs.DeadLetterQueue(queue=failed[name], max_receive_count=it.max_receives),
            )
            for name, it in declared.items()
        }

    @property
    def urls(self) -> dict[str, str]:
        """Values of environment variables: the queues' URLs."""
        return {it.variable: self.by_name[name].queue_url for name, it in self._declared.items()}

    def connect(self, function: Function) -> None:
        """Let `function` send to the queues that it produces for, and give it the messages that it consumes."""
        produced = [name for name, it in self._declared.items() if function.name in it.producers]
        if produced:
            function.allow("sqs:SendMessage", on=[self.by_name[name].queue_arn for name in produced])
        for name, it in self._declared.items():
            if function.name == it.consumer:
                function.alias.add_event_source(
                    sources.SqsEventSource(
                        self.by_name[name],
                        batch_size=it.batch,
                        max_concurrency=it.concurrency,
                        report_batch_item_failures=True,
                    )
                )
