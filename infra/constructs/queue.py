"""Queues: encrypted, TLS only."""

from aws_cdk import Duration
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.nag import acknowledge


def dead_letter_queue(scope: Construct, name: str) -> sqs.Queue:
    """Make a queue for what failed for good; it keeps messages for the longest time SQS allows."""
    queue = sqs.Queue(
        scope, name, encryption=sqs.QueueEncryption.SQS_MANAGED, enforce_ssl=True, retention_period=Duration.days(14)
    )
    acknowledge(queue, "This is a dead-letter queue itself.", "SQS3")
    return queue
