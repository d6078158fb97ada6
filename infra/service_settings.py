"""Settings of single services of a stage (infra/stage.py)."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

LEAST_GRACE_DAYS = 3
"""Days in which a vault's lock can still be removed before it is final (AWS Backup's minimum)."""


class Settings(BaseModel):
    """Values that cannot be changed, and no others than declared."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Throttle(Settings):
    """Limit of one API: requests (HTTP) or frames (WebSocket) a second in the long run, and in one burst."""

    rate: int = Field(gt=0)
    burst: int = Field(gt=0)


class Domain(Settings):
    """The public host name, and the Route 53 zone that its alias records go into."""

    name: str
    zone_id: str
    zone_name: str
    certificate_arn: str | None = None


class Quotas(Settings):
    """Limits of API Gateway and Lambda in bytes (reference: AWS quotas pages); kept locally by the front door."""

    enforced: bool = True
    http_body: int = 10 * 1024 * 1024
    lambda_payload: int = 6 * 1024 * 1024
    websocket_message: int = 128 * 1024
    websocket_frame: int = 32 * 1024


class GitHub(Settings):
    """The GitHub of the deployment's GitHub App (docs/github.md)."""

    api_url: str = Field(default="https://api.github.com", pattern=r"^https?://[^\s]+$")
    oidc_issuer: str = Field(default="https://token.actions.githubusercontent.com", pattern=r"^https?://[^\s]+$")


class Database(Settings):
    """The database of the console plane: Aurora MySQL Serverless v2 on AWS, MariaDB beside the emulator."""

    min_acu: float = Field(default=0, ge=0, le=256, multiple_of=0.5, description="0: pauses when idle")
    max_acu: float = Field(default=4, ge=1, le=256, multiple_of=0.5)
    pause_after_seconds: int = Field(default=900, ge=300, le=86_400)
    readers: int = Field(default=0, ge=0, le=15, description="instances in other zones, which take over on a failure")
    proxy: bool = Field(default=False, description="RDS Proxy: for very many connections; never lets it pause")
    backup_days: int = Field(default=1, ge=1, le=35)
    kms_key_arn: str | None = Field(
        default=None,
        pattern=r"^arn:aws[\w-]*:kms:[\w-]+:\d{12}:key/[\w-]+$",
        description="a key of yours for the cluster, which copies to another account need; never changes later",
    )
    port: int = Field(default=3306, description="of 127.0.0.1; on stage local only")
    password: str = Field(default="", description="of the functions' user; on stage local only")
    owner_password: str = Field(default="", description="of the user who migrates; on stage local only")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.proxy and not self.min_acu:
            raise ValueError("a database behind RDS Proxy never pauses: set min_acu to 0.5 or more, or proxy to false")
        if self.max_acu < self.min_acu:
            raise ValueError("max_acu is less than min_acu")
        return self


class Gateway(Settings):
    """The runtime of model calls: a function, free while idle, or containers, cheaper with many streams."""

    runtime: Literal["lambda", "container"] = "lambda"
    memory: int = Field(default=512, ge=256, le=10_240, description="MB of one execution environment, or of one task")
    concurrency: int = Field(
        default=0,
        ge=0,
        description="reserved concurrent model calls; more are refused. 0: no limit but the account's",
    )
    read_seconds: int = Field(
        default=60,
        ge=30,
        le=180,
        description="that CloudFront waits for bytes; over 120 needs a higher quota",
    )
    least_tasks: int = Field(default=2, ge=1, description="of containers")
    most_tasks: int = Field(default=10, ge=1, description="of containers")
    task_cpu: Literal[256, 512, 1024, 2048, 4096] = Field(default=1024, description="of one container; 1024: a vCPU")
    streams_per_task: int = Field(default=400, ge=1, description="beyond which one container answers 503")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.most_tasks < self.least_tasks:
            raise ValueError("most_tasks is less than least_tasks")
        least, most = 2 * self.task_cpu, 8 * self.task_cpu
        fits = self.task_memory == least or (self.task_memory % 1024 == 0 and self.task_memory <= most)
        if self.runtime == "container" and not fits:
            raise ValueError(
                f"memory: with task_cpu = {self.task_cpu} Fargate has {least}, or whole 1024s up to {most}"
            )
        return self

    @property
    def task_memory(self) -> int:
        """MB of one container: Fargate gives no less than two for each unit of its processor."""
        return max(self.memory, 2 * self.task_cpu)


class Sync(Settings):
    """The runtime of sharing: functions, free while idle, or containers (hubs), which hold the sockets themselves."""

    runtime: Literal["lambda", "container"] = "lambda"
    memory: int = Field(default=2048, ge=512, le=10_240, description="MB of one hub")
    task_cpu: Literal[256, 512, 1024] = Field(
        default=1024, description="of one hub, which is one process; 1024: a vCPU"
    )
    least_tasks: int = Field(default=2, ge=1, description="of hubs")
    most_tasks: int = Field(default=10, ge=1, description="of hubs")
    sockets_per_task: int = Field(default=5000, ge=1, description="beyond which one hub answers 503")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.most_tasks < self.least_tasks:
            raise ValueError("most_tasks is less than least_tasks")
        if self.memory % 1024 or not 2 * self.task_cpu <= self.memory <= 8 * self.task_cpu:
            raise ValueError(
                f"memory: with task_cpu = {self.task_cpu} Fargate has whole 1024s from {2 * self.task_cpu} "
                f"to {8 * self.task_cpu}"
            )
        return self


class Backup(Settings):
    """Daily backups in a vault with a lock (docs/decisions/058)."""

    enabled: bool = Field(default=False, description="whether there are any; point-in-time recovery is always on")
    days: int = Field(default=14, ge=7, le=365, description="that each backup is kept, and cannot be deleted")
    final_after_days: int = Field(
        default=0,
        ge=0,
        le=365,
        description="after which even the account's owner cannot remove the lock; 0: an administrator always can",
    )
    copy_to: str = Field(
        default="",
        pattern=r"^(arn:aws[\w-]*:backup:[\w-]+:\d{12}:backup-vault:[\w-]+)?$",
        description="ARN of a vault of another account or region that gets a copy of each backup",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if 0 < self.final_after_days < LEAST_GRACE_DAYS:
            raise ValueError(f"final_after_days: AWS requires {LEAST_GRACE_DAYS} days in which you can still change it")
        return self

    @property
    def copy_account(self) -> str:
        """The account that gets copies; empty if none does."""
        return self.copy_to.split(":")[4] if self.copy_to else ""


DOLLARS = r"^\d{1,6}(\.\d{2})?$"
"""Whole cents."""


class Billing(Settings):
    """The ledger of money (docs/billing.md). If it is off, a balance limits only the workspaces that have one."""

    enabled: bool = Field(default=False, description="whether calls need a prepaid balance, and are booked")


class Stripe(Settings):
    """The account at Stripe that sells credit (docs/stripe.md)."""

    api_url: str = Field(default="https://api.stripe.com", pattern=r"^https?://[^\s]+$")
    processing_fee: str = Field(
        default="", pattern=r"^(0(\.\d+)?\+\d+)?$", description="rate and cents on top of a top-up, such as 0.044+30"
    )
    least_top_up: int = Field(default=10, ge=1, description="in dollars")
    most_top_up: int = Field(default=10_000, ge=1, description="in dollars")
    invoice_seller: str = Field(default="", max_length=1000, description="lines of the seller: name, address, tax id")
    tax: bool = Field(
        default=False, description="whether Stripe computes tax on top of purchases and plans; it needs Stripe Tax"
    )
    seat_price: str = Field(
        default="0",
        pattern=DOLLARS,
        description="of a plan, in dollars for a seat and month, such as 20.00; 0: no plan",
    )
    seat_credit: str = Field(
        default="0", pattern=DOLLARS, description="in dollars: the promotional credit of a seat for a month"
    )
    renewal_notice_days: int = Field(
        default=7, ge=1, le=28, description="days before a renewal at which the payers of a plan are told"
    )


class Firewall(Settings):
    """A firewall before the CDN, which blocks an address that sends too many requests (docs/decisions/065)."""

    requests: int = Field(
        default=10_000, ge=10, le=2_000_000_000, description="of one address in five minutes, beyond which it gets 403"
    )
    web_acl_arn: str | None = Field(
        default=None,
        pattern=r"^arn:aws[\w-]*:wafv2:us-east-1:\d{12}:global/webacl/[\w-]+/[\w-]+$",
        description="an ACL of yours in its place; needed outside us-east-1",
    )
