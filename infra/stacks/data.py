"""What must survive: tables, bucket, secrets."""

from typing import Any, cast

from aws_cdk import CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.constructs.nag import acknowledge
from infra.constructs.queue import PLAIN_HTTP
from infra.stage import Stage

EXPIRY_INDEX = "expiry"


class DataStack(Stack):
    """Tables `shares` and `connections`, the bucket of large bodies and snapshots, two generated secrets."""

    def __init__(self, scope: Construct, name: str, *, stage: Stage, **options: Any) -> None:
        super().__init__(scope, name, **options)
        self._removal = RemovalPolicy.RETAIN if stage.retain_data else RemovalPolicy.DESTROY
        self._protected = stage.retain_data
        self.shares = self._shares()
        self.connections = self._connections()
        self.bucket = self._bucket(stage)
        self.objects_arn = f"{self.export_value(self.bucket.bucket_arn)}/shares/*"
        """ARN of all objects of shares, as other stacks write it."""
        self.session_key_arn = self._secret("SessionKey", "Key of the hashes of session ids and share secrets.")
        self.admin_secret_arn = self._secret("Admin", "Bearer that looks up and removes shares: /api/admin.")
        outputs = {
            "SharesTableName": self.shares.table_name,
            "ConnectionsTableName": self.connections.table_name,
            "SharesBucketName": self.bucket.bucket_name,
            "SessionKeySecretArn": self.session_key_arn,
            "AdminSecretArn": self.admin_secret_arn,
        }
        for key, value in outputs.items():
            CfnOutput(self, key, value=value)

    def _shares(self) -> dynamodb.TableV2:
        return dynamodb.TableV2(
            self,
            "Shares",
            partition_key=_string("pk"),
            sort_key=_string("sk"),
            global_secondary_indexes=[
                dynamodb.GlobalSecondaryIndexPropsV2(
                    index_name=EXPIRY_INDEX,
                    partition_key=_string("expiry_day"),
                    sort_key=dynamodb.Attribute(name="expires_at", type=dynamodb.AttributeType.NUMBER),
                    projection_type=dynamodb.ProjectionType.KEYS_ONLY,
                )
            ],
            dynamo_stream=dynamodb.StreamViewType.NEW_IMAGE,
            **self._table_options(),
        )

    def _connections(self) -> dynamodb.TableV2:
        return dynamodb.TableV2(self, "Connections", partition_key=_string("connection"), **self._table_options())

    def _table_options(self) -> dict[str, Any]:
        return {
            "billing": dynamodb.Billing.on_demand(),
            "encryption": dynamodb.TableEncryptionV2.aws_managed_key(),
            "point_in_time_recovery_specification": dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            "time_to_live_attribute": "ttl",
            "deletion_protection": self._protected,
            "removal_policy": self._removal,
        }

    def _bucket(self, stage: Stage) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            "Bodies",
            versioned=True,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=not stage.local,
            minimum_tls_version=None if stage.local else 1.2,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            # Large bodies are read by their presigned address from pages of any host.
            cors=[s3.CorsRule(allowed_methods=[s3.HttpMethods.GET], allowed_origins=["*"], max_age=86_400)],
            lifecycle_rules=[
                s3.LifecycleRule(
                    noncurrent_version_expiration=Duration.days(1),
                    abort_incomplete_multipart_upload_after=Duration.days(1),
                ),
                s3.LifecycleRule(expired_object_delete_marker=True),
            ],
            removal_policy=self._removal,
        )
        acknowledge(bucket, "Access logs would keep share ids, which are links, beyond an unshare.", "S1")
        if stage.local:
            acknowledge(bucket, PLAIN_HTTP, "S10")
        return bucket

    def _secret(self, name: str, description: str) -> str:
        """Make a generated secret and return its ARN."""
        secret = secretsmanager.Secret(
            self,
            name,
            description=description,
            generate_secret_string=secretsmanager.SecretStringGenerator(password_length=43, exclude_punctuation=True),
            removal_policy=self._removal,
        )
        acknowledge(secret, "A new value would orphan every share and lock its owner out; replace it by hand.", "SMG4")
        # Not by Ref, for which the emulator returns the name.
        return cast("secretsmanager.CfnSecret", secret.node.default_child).attr_id


def _string(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
