"""Queues: encrypted, and TLS only on AWS."""

from aws_cdk import Duration
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.nag import acknowledge
from infra.stage import Stage

PLAIN_HTTP = "The emulator speaks plain HTTP, on 127.0.0.1 only; on AWS nothing but TLS is let in."


def dead_letter_queue(scope: Construct, name: str, stage: Stage) -> sqs.Queue:
    """Make a queue for what failed for good; it keeps messages for the longest time SQS allows."""
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
    """Make a queue that keeps messages for the longest time SQS allows."""
    made = sqs.Queue(
        scope,
        name,
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=not stage.local,
        retention_period=Duration.days(14),
        visibility_timeout=visibility,
        dead_letter_queue=failed,
    )
    if stage.local:
        acknowledge(made, PLAIN_HTTP, "SQS4")
    return made
