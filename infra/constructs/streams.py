"""Functions that read a table's stream: new rows in batches, and a queue for failed batches."""

# jsii's classes do not match their own Protocols by pyright's rules: they name parameters differently.
# pyright: reportArgumentType=false

from aws_cdk import Duration
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_sqs as sqs

from infra.constructs.function import Function
from infra.constructs.nag import acknowledge

BATCH = 500


def read_stream(
    function: Function, table: dynamodb.TableV2, *, window: Duration, failed: sqs.Queue, attempts: int = 10
) -> None:
    """Give `function` the rows put into `table`, up to 500 at once, gathered for `window`.

    A batch that fails `attempts` times more goes into the queue `failed`.
    """
    function.alias.add_event_source(
        sources.DynamoEventSource(
            table,
            starting_position=lambda_.StartingPosition.TRIM_HORIZON,
            batch_size=BATCH,
            max_batching_window=window,
            filters=[lambda_.FilterCriteria.filter({"eventName": lambda_.FilterRule.is_equal("INSERT")})],
            report_batch_item_failures=True,
            bisect_batch_on_error=True,
            retry_attempts=attempts,
            on_failure=sources.SqsDlq(failed),
        )
    )
    acknowledge(
        function.role,
        "dynamodb:ListStreams, which the event source needs, takes no narrower resource.",
        "IAM5[Resource::*]",
    )
