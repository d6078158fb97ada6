"""Settings that several functions have in common; a function's own are in its module.

The annotations are objects, not text, which each start would have to compile.
"""

from typing import Annotated, Literal

from opencode_cloud.kit.settings import FunctionSettings, Separator
from opencode_cloud.sharing.service.quotas import MEGABYTE, AnonymousLimits

AccessTable = Annotated[str, "the name of the DynamoDB table that projections are written to"]
SessionsTable = Annotated[str, "the name of the DynamoDB table of sessions, sign-in codes and rate limits"]
BudgetsTable = Annotated[str, "the name of the DynamoDB table of budget counters"]
UsageTable = Annotated[str, "the name of the DynamoDB table of usage events"]
ConnectionsTable = Annotated[str, "the name of the DynamoDB table of WebSocket connections"]
SiteBucket = Annotated[str, "the name of the S3 bucket of public documents"]
ExportsBucket = Annotated[str, "the name of the S3 bucket of usage exports"]
SigningKeyArns = Annotated[tuple[str, ...], "the ARNs of the KMS keys that sign access tokens", Separator(",")]
LedgerKey = Annotated[str, "the ARN of the KMS key that signs the ledger's checkpoints; empty: no ledger"]
CredentialsKey = Annotated[str, "the ARN of the KMS key that provider credentials are encrypted under"]
SessionKeySecret = Annotated[str, "the ARN of the secret that share ids and share secrets are derived from"]
DeploymentKeySecret = Annotated[str, "the ARN of the secret that codes and links are derived from"]
OriginSecret = Annotated[str, "the ARN of the secret that the CDN sends"]
AuditQueueUrl = Annotated[str, "the URL of the queue of audit entries"]
AlertsQueueUrl = Annotated[str, "the URL of the queue of budget alerts"]
ExportsQueueUrl = Annotated[str, "the URL of the queue of usage exports"]
MailQueueUrl = Annotated[str, "the URL of the queue of mails"]
ReloadsQueueUrl = Annotated[str, "the URL of the queue of automatic reloads"]
WebhooksQueueUrl = Annotated[str, "the URL of the queue of deliveries to webhooks"]
PurgeQueueUrl = Annotated[str, "the URL of the queue of shares to purge"]
RelayQueueUrl = Annotated[str, "the URL of the queue of the outbox relay"]
WebSocketEndpoint = Annotated[str, "the HTTPS endpoint that sends messages to WebSocket connections"]
DeliverFunction = Annotated[str, "the ARN of the function `deliver`"]
PublicUrl = Annotated[str, "the URL under which clients reach this deployment; empty: the CDN's own name"]
RedirectUris = Annotated[tuple[str, ...], "the redirect URIs of OAuth clients beside those on the loopback interface"]
OperatedQueues = Annotated[tuple[str, ...], "the URLs of queues that only operators' pages use here, each as name=URL"]
Operators = Annotated[tuple[str, ...], "the e-mail addresses of the people who may open the operators' pages"]
ReleasesUrl = Annotated[str, "the URL that names the latest release, in the form of GitHub's API, or empty"]
RequestsPerMinute = Annotated[int, "the number of API requests a minute for each credential"]
BillingEnabled = Annotated[bool, "1 to keep the ledger of money and to require a prepaid balance, else 0"]
PrivateProviders = Annotated[bool, "1 to allow providers and webhooks in private networks, else 0"]


class KnownPeopleSettings(FunctionSettings):
    """Settings for reading sessions, keys, members and policies."""

    access_table: AccessTable
    sessions_table: SessionsTable


class AccessSettings(KnownPeopleSettings):
    """Settings for finding people and the keys that verify their access tokens."""

    signing_keys: SigningKeyArns


class SharesSettings(FunctionSettings):
    """Settings of the stores of shares."""

    shares_table: Annotated[str, "the name of the DynamoDB table of shares"]
    shares_bucket: Annotated[str, "the name of the S3 bucket of large share records and snapshots"]


class HubsSettings(FunctionSettings):
    """Settings for telling hubs of commits, on stages that have hubs."""

    hub_secret: Annotated[str, "the ARN of the secret of hubs and of those who post to them; empty: no hubs"] = ""
    hub_url: Annotated[str, "the URL of any hub, which passes posts on; empty: each is called at its own address"] = ""


class AnonymousRedactionSettings(FunctionSettings):
    """The treatment of secrets where no workspace has a policy."""

    anonymous_redaction: Annotated[
        Literal["on", "report", "off"], "the treatment of secrets in shares without an owner: on, report or off"
    ] = "on"


class AnonymousSharingSettings(AnonymousRedactionSettings):
    """Limits of shares without an owner; 0 stands for no limit."""

    anonymous_share_megabytes: Annotated[int, "the number of MB that a share without an owner takes in a day"] = 0
    anonymous_share_items: Annotated[int, "the number of items that a share without an owner takes in a day"] = 0
    anonymous_network_megabytes: Annotated[int, "the number of MB a day for all of an address's shares"] = 0
    anonymous_network_items: Annotated[int, "the number of items a day for all of an address's shares"] = 0
    anonymous_syncs_per_second: Annotated[int, "the number of syncs a second of a share without an owner"] = 0

    @property
    def limits(self) -> AnonymousLimits:
        """The limits as the rules read them."""
        return AnonymousLimits(
            share_bytes=self.anonymous_share_megabytes * MEGABYTE,
            share_items=self.anonymous_share_items,
            network_bytes=self.anonymous_network_megabytes * MEGABYTE,
            network_items=self.anonymous_network_items,
            syncs_per_second=self.anonymous_syncs_per_second,
        )


StripeSecretArn = Annotated[str, "the ARN of the secret of the account at Stripe; empty without one"]
