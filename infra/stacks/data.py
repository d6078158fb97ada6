"""Persistent data: tables, buckets, keys, secrets, and the messages between functions."""

# jsii's classes do not match their own Protocols by pyright's rules: they name parameters differently.
# pyright: reportArgumentType=false

from typing import Any, cast

from aws_cdk import CfnOutput, Duration, RemovalPolicy, SecretValue, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_ses as ses
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.constructs.nag import acknowledge
from infra.constructs.queue import PLAIN_HTTP, Queues, dead_letter_queue
from infra.constructs.references import hold, let_go
from infra.queues import CONSOLE_QUEUES
from infra.settings import of_stage
from infra.stage import Stage
from infra.tables import TABLES, TTL_ATTRIBUTE, Index

LOCAL_MAIL_DOMAIN = "localhost.test"
"""The sender's domain in mails of stage local. It does not exist."""


class DataStack(Stack):
    """Tables, buckets, keys, secrets and queues of all planes."""

    def __init__(self, scope: Construct, name: str, *, stage: Stage, **options: Any) -> None:
        super().__init__(scope, name, **options)
        self._removal = RemovalPolicy.RETAIN if stage.retain_data else RemovalPolicy.DESTROY
        self._protected = stage.retain_data
        self.shares = self._table("shares")
        self.connections = self._table("connections")
        self.bucket = self._bucket(stage)
        self.objects_arn = f"{self.export_value(self.bucket.bucket_arn)}/shares/*"
        """ARN of all objects of shares, as other stacks write it."""
        self.session_key_arn = self._secret("SessionKey", "Key of the hashes of session ids and share secrets.")
        self.admin_secret_arn = self._secret("Admin", "Bearer for looking up and removing shares: /api/admin.")
        self.access = self._table("access")
        self.sessions = self._table("sessions")
        self.budgets = self._table("budgets")
        self.usage = self._table("usage")
        self.exports = self._exports(stage)
        self.exports_arn = f"{self.export_value(self.exports.bucket_arn)}/*"
        """ARN of all exports, as other stacks write it."""
        self.site = self._site(stage)
        self.site_objects_arn = f"{self.export_value(self.site.bucket_arn)}/*"
        """ARN of all objects of the site, as other stacks write it."""
        self.site_name = cast("s3.CfnBucket", self.site.node.default_child).ref
        self.console_key_arn = self._secret("ConsoleKey", "Key from which codes and invitations are derived.")
        self.login_secrets_arn = self._secret("LoginSecrets", "Client secrets of login methods, by name.", initial="{}")
        self.github_secret_arn = (
            self._secret(
                "GitHubApp", "The GitHub App's id and private key (docs/github.md).", initial="{}", optional=True
            )
            if stage.github
            else ""
        )
        self.stripe_secret_arn = (
            self._secret(
                "Stripe",
                "Key and webhook secrets of the account at Stripe (docs/stripe.md).",
                initial="{}",
                optional=True,
            )
            if stage.stripe
            else ""
        )
        self.upstream_keys_arn = self._secret(
            "UpstreamKeys", "The deployment's own keys at model providers, by upstream (docs/operate.md).", initial="{}"
        )
        self.origin_secret_arn = self._secret(
            "Origin", "The secret that proves to the functions that a request came through the CDN."
        )
        self.hub_secret_arn = self._hub_secret() if stage.has_hubs else ""
        """ARN of the secret of hubs and of those who post to them; empty without hubs."""
        self.signing_keys = [self._signing_key(name) for name in stage.signing_keys]
        self.credentials_key = self._credentials_key()
        self.ledger_key = self._ledger_key() if stage.billing.enabled else None
        """The key that signs checkpoints of the ledger; None without billing."""
        self.failed = {name: dead_letter_queue(self, f"{name.capitalize()}Failed", stage) for name in CONSOLE_QUEUES}
        self.queues = Queues(self, stage, CONSOLE_QUEUES, self.failed)
        self.mail_settings = self._mail_settings(stage)
        self.shared_values = self._shared_values(stage)
        """Values of environment variables; each function gets those that it declares."""
        outputs = {
            "SharesTableName": self.shares.table_name,
            "ConnectionsTableName": self.connections.table_name,
            "SharesBucketName": self.bucket.bucket_name,
            "SessionKeySecretArn": self.session_key_arn,
            "AdminSecretArn": self.admin_secret_arn,
            "AccessTableName": self.access.table_name,
            "SessionsTableName": self.sessions.table_name,
            "BudgetsTableName": self.budgets.table_name,
            "UsageTableName": self.usage.table_name,
            "ExportsBucketName": self.exports.bucket_name,
            "SiteBucketName": self.site.bucket_name,
            "ConsoleKeySecretArn": self.console_key_arn,
            "LoginSecretsArn": self.login_secrets_arn,
            "UpstreamKeysSecretArn": self.upstream_keys_arn,
            "OriginSecretArn": self.origin_secret_arn,
            "SigningKeyArns": self.signing_key_arns,
            "CredentialsKeyArn": self.credentials_key.key_arn,
            **({"GitHubAppSecretArn": self.github_secret_arn} if stage.github else {}),
            **({"LedgerKeyArn": self.ledger_key.key_arn} if self.ledger_key else {}),
            **({"StripeSecretArn": self.stripe_secret_arn} if stage.stripe else {}),
            **({"HubSecretArn": self.hub_secret_arn} if stage.has_hubs else {}),
        }
        outputs |= {f"{name.capitalize()}QueueUrl": queue.queue_url for name, queue in self.queues.by_name.items()}
        outputs |= {f"{name.capitalize()}FailedQueueUrl": made.queue_url for name, made in self.failed.items()}
        for key, value in outputs.items():
            CfnOutput(self, key, value=value)

    def _shared_values(self, stage: Stage) -> dict[str, str]:
        """Return the values of environment variables for resources of this stack and for settings of the stage."""
        return {
            **of_stage(stage),
            "SHARES_TABLE": self.shares.table_name,
            "CONNECTIONS_TABLE": self.connections.table_name,
            "ACCESS_TABLE": self.access.table_name,
            "SESSIONS_TABLE": self.sessions.table_name,
            "BUDGETS_TABLE": self.budgets.table_name,
            "USAGE_TABLE": self.usage.table_name,
            "SHARES_BUCKET": self.bucket.bucket_name,
            "EXPORTS_BUCKET": self.exports.bucket_name,
            "SITE_BUCKET": self.site.bucket_name,
            "SESSION_KEY_SECRET": self.session_key_arn,
            "ADMIN_SECRET": self.admin_secret_arn,
            "DEPLOYMENT_KEY_SECRET": self.console_key_arn,
            "LOGIN_SECRETS": self.login_secrets_arn,
            "GITHUB_APP_SECRET": self.github_secret_arn,
            "STRIPE_SECRET": self.stripe_secret_arn,
            "UPSTREAM_KEYS_SECRET": self.upstream_keys_arn,
            "ORIGIN_SECRET": self.origin_secret_arn,
            **({"HUB_SECRET": self.hub_secret_arn} if stage.has_hubs else {}),
            **({"HUB_URL": stage.public_url} if stage.has_hubs and not stage.local else {}),
            "SIGNING_KEYS": self.signing_key_arns,
            "CREDENTIALS_KEY": self.credentials_key.key_arn,
            "LEDGER_KEY": self.ledger_key.key_arn if self.ledger_key else "",
            "SES_CONFIGURATION_SET": self.mail_settings.configuration_set_name,
            **self.queues.urls,
        }

    def _table(self, name: str) -> dynamodb.TableV2:
        """Create the table that `infra/tables.py` declares under `name`."""
        declared = TABLES[name]
        table = dynamodb.TableV2(
            self,
            name.capitalize(),
            partition_key=_string(declared.partition),
            sort_key=_string(declared.sort) if declared.sort else None,
            global_secondary_indexes=[_index(*index) for index in declared.indexes.items()] or None,
            dynamo_stream=dynamodb.StreamViewType.NEW_IMAGE if declared.streamed else None,
            **self._table_options(),
        )
        hold(table)
        return table

    @property
    def signing_key_arns(self) -> str:
        """The signing keys' ARNs in the stage's order, separated by commas."""
        return ",".join(key.key_arn for key in self.signing_keys)

    def _signing_key(self, name: str) -> kms.Key:
        key = kms.Key(
            self,
            f"SigningKey{name.capitalize()}",
            description=f"Opencode Cloud: signs access tokens ({name})",
            key_spec=kms.KeySpec.RSA_2048,
            key_usage=kms.KeyUsage.SIGN_VERIFY,
            removal_policy=self._removal,
        )
        let_go(key)
        return key

    def _ledger_key(self) -> kms.Key:
        key = kms.Key(
            self,
            "LedgerKey",
            description="Opencode Cloud: signs checkpoints of the ledger",
            key_spec=kms.KeySpec.RSA_2048,
            key_usage=kms.KeyUsage.SIGN_VERIFY,
            removal_policy=self._removal,
        )
        let_go(key)
        return key

    def _credentials_key(self) -> kms.Key:
        key = kms.Key(
            self,
            "CredentialsKey",
            description="Opencode Cloud: encrypts the data keys of provider credentials",
            enable_key_rotation=True,
            removal_policy=self._removal,
        )
        hold(key)
        return key

    def _mail_settings(self, stage: Stage) -> ses.ConfigurationSet:
        """Have SES send the delivery events of each mail to the queue `mail`."""
        topic = sns.Topic(self, "MailEvents", enforce_ssl=not stage.local)
        topic.add_subscription(subscriptions.SqsSubscription(self.queues.by_name["mail"], raw_message_delivery=True))
        if stage.local:
            acknowledge(topic, PLAIN_HTTP, "SNS3")
        if stage.local:
            # On AWS the sender's identity belongs to the account, whose owner proves it.
            ses.EmailIdentity(self, "Sender", identity=ses.Identity.domain(LOCAL_MAIL_DOMAIN))
        settings = ses.ConfigurationSet(self, "Mails", tls_policy=ses.ConfigurationSetTlsPolicy.REQUIRE)
        settings.add_event_destination(
            "Events",
            destination=ses.EventDestination.sns_topic(topic),
            events=[
                ses.EmailSendingEvent.BOUNCE,
                ses.EmailSendingEvent.COMPLAINT,
                ses.EmailSendingEvent.DELIVERY,
                ses.EmailSendingEvent.REJECT,
            ],
        )
        return settings

    def _table_options(self) -> dict[str, Any]:
        return {
            "billing": dynamodb.Billing.on_demand(),
            "encryption": dynamodb.TableEncryptionV2.aws_managed_key(),
            "point_in_time_recovery_specification": dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            "time_to_live_attribute": TTL_ATTRIBUTE,
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
            # Pages of any host read large bodies by their presigned URL.
            cors=[s3.CorsRule(allowed_methods=[s3.HttpMethods.GET], allowed_origins=["*"], max_age=86_400)],
            lifecycle_rules=[
                s3.LifecycleRule(
                    noncurrent_version_expiration=Duration.days(1),
                    abort_incomplete_multipart_upload_after=Duration.days(1),
                ),
                s3.LifecycleRule(expired_object_delete_marker=True),
            ],
            **self._bucket_removal(stage),
        )
        hold(bucket)
        acknowledge(bucket, "Access logs would contain share ids, which are links, after an unshare.", "S1")
        if stage.local:
            acknowledge(bucket, PLAIN_HTTP, "S10")
        return bucket

    def _site(self, stage: Stage) -> s3.Bucket:
        """Create the bucket of documents that CloudFront serves directly, even when everything else is down."""
        bucket = s3.Bucket(
            self,
            "Site",
            versioned=True,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=not stage.local,
            minimum_tls_version=None if stage.local else 1.2,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            lifecycle_rules=[s3.LifecycleRule(noncurrent_version_expiration=Duration.days(30))],
            **self._bucket_removal(stage),
        )
        hold(bucket)
        bucket.add_to_resource_policy(
            iam.PolicyStatement(
                actions=["s3:GetObject"],
                principals=[iam.ServicePrincipal("cloudfront.amazonaws.com")],
                resources=[bucket.arn_for_objects("*")],
                conditions={"StringEquals": {"AWS:SourceAccount": self.account}},
            )
        )
        acknowledge(bucket, "It holds public files; the audit trail records their writers.", "S1")
        if stage.local:
            acknowledge(bucket, PLAIN_HTTP, "S10")
        return bucket

    def _exports(self, stage: Stage) -> s3.Bucket:
        """Create the bucket of exported usage. Its files can be exported again at any time."""
        bucket = s3.Bucket(
            self,
            "UsageExports",
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=not stage.local,
            minimum_tls_version=None if stage.local else 1.2,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            lifecycle_rules=[
                s3.LifecycleRule(expiration=Duration.days(30), abort_incomplete_multipart_upload_after=Duration.days(1))
            ],
            **self._bucket_removal(stage),
        )
        hold(bucket)
        acknowledge(bucket, "The audit trail records requests and downloads of exports.", "S1")
        if stage.local:
            acknowledge(bucket, PLAIN_HTTP, "S10")
        return bucket

    def _bucket_removal(self, stage: Stage) -> dict[str, Any]:
        """Empty a bucket that is deleted with its stack: S3 deletes no bucket that holds a version of an object."""
        return {
            "removal_policy": self._removal,
            # The emulator deletes full buckets, and has no Node.js for the function that empties them.
            "auto_delete_objects": not stage.retain_data and not stage.local,
        }

    def _hub_secret(self) -> str:
        words = "Key of the posts to hubs, and of the rows that name their addresses."
        return self._secret("Hub", words, optional=True)

    def _secret(self, name: str, description: str, initial: str | None = None, *, optional: bool = False) -> str:
        """Create a secret and return its ARN. Its first value is random, or `initial`.

        An `optional` secret exists only with certain settings of the stage.
        """
        random = secretsmanager.SecretStringGenerator(password_length=43, exclude_punctuation=True)
        secret = secretsmanager.Secret(
            self,
            name,
            description=description,
            generate_secret_string=None if initial else random,
            secret_string_value=SecretValue.unsafe_plain_text(initial) if initial else None,
            removal_policy=self._removal,
        )
        (let_go if optional else hold)(secret)
        acknowledge(secret, "A new value would orphan every share and lock its owner out; replace it by hand.", "SMG4")
        # Not by Ref, because the emulator returns the name for it.
        return cast("secretsmanager.CfnSecret", secret.node.default_child).attr_id


def _index(name: str, declared: Index) -> dynamodb.GlobalSecondaryIndexPropsV2:
    number = dynamodb.AttributeType.NUMBER
    return dynamodb.GlobalSecondaryIndexPropsV2(
        index_name=name,
        partition_key=_string(declared.partition),
        sort_key=dynamodb.Attribute(name=declared.sort, type=number) if declared.sort else None,
        projection_type=dynamodb.ProjectionType.ALL if declared.all_attributes else dynamodb.ProjectionType.KEYS_ONLY,
    )


def _string(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
