"""AWS clients, created once per execution environment and reused across invocations.

Stores create theirs when a function starts, so that a SnapStart snapshot contains them. Frequent calls have clients of
our own (``kit/aws_api``); boto3 is imported only for SES, and for transfers of large files.
"""

# The stubs of services that are not installed make the overloads of `client` partially unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING, Any

from opencode_cloud.kit.aws_api.credentials import credential_source
from opencode_cloud.kit.aws_api.endpoints import read_seconds, region
from opencode_cloud.kit.aws_api.json_services import CONNECT_SECONDS, READ_SECONDS, Kms, Lambda, SecretsManager, Sqs
from opencode_cloud.kit.aws_api.s3 import S3
from opencode_cloud.kit.aws_api.signing import presigned_query
from opencode_cloud.kit.dynamodb.client import DynamoDB

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_sesv2.client import SESV2Client

DATABASE_TOKEN_SECONDS = 900


@cache
def dynamodb() -> DynamoDB:
    """Return the DynamoDB client."""
    return DynamoDB()


@cache
def s3() -> S3:
    """Return the S3 client."""
    return S3()


@cache
def lambda_() -> Lambda:
    """Return the Lambda client."""
    return Lambda()


@cache
def sqs() -> Sqs:
    """Return the SQS client."""
    return Sqs()


@cache
def kms() -> Kms:
    """Return the KMS client."""
    return Kms()


@cache
def secrets_manager() -> SecretsManager:
    """Return the Secrets Manager client."""
    return SecretsManager()


@cache
def s3_transfers() -> S3Client:
    """Return boto3's S3 client, which uploads large files in parts."""
    return _by_boto3("s3")


@cache
def ses() -> SESV2Client:
    """Return the SES client."""
    return _by_boto3("sesv2")


def _by_boto3(service: str) -> Any:
    from boto3 import session  # it takes 0.2 s
    from botocore.config import Config

    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=read_seconds(READ_SECONDS),
        retries={"mode": "standard", "total_max_attempts": 4},
        tcp_keepalive=True,
        user_agent="opencode-cloud",  # composing botocore's own costs 0.13 ms of CPU time a call
    )
    boto3: Any = session.Session()
    return boto3.client(service, config=config)


def database_token(host: str, port: int, user: str) -> str:
    """Return a password for ``user`` of an RDS database: a URL signed for 15 minutes, computed without a call.

    It equals the result of ``generate_db_auth_token`` of boto3's RDS client, whose creation takes 80 ms.
    """
    address = f"{host}:{port}"
    query = presigned_query(
        credential_source().get(),
        region(),
        "rds-db",
        time.time(),
        (address, "/"),
        DATABASE_TOKEN_SECONDS,
        {"Action": "connect", "DBUser": user},
    )
    return f"{address}/?{query}"


@cache
def secret(arn: str) -> str:
    """Return a secret's value, fetched on first use.

    Not at import: a SnapStart snapshot would keep a value that was read before it was taken.
    """
    return secrets_manager().secret(arn)
