"""Settings of a deployment: everything that differs between stages, and nothing else.

A stage is `dev`, `production`, `local` or a personal one of any other name. Its defaults stand here; a file
`infra/stages/<name>.toml` (or one named by `STAGE_FILE`) overrides single settings.
"""

import os
import platform
import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from infra.service_settings import (
    Backup,
    Billing,
    Database,
    Domain,
    Firewall,
    Gateway,
    GitHub,
    Quotas,
    Settings,
    Stripe,
    Sync,
    Throttle,
)

STAGES = Path(__file__).parent / "stages"
MINISTACK_PORT = 4566
EDGE_REGION = "us-east-1"
"""The region of CloudFront's certificates and metrics."""

ZONES = 2
"""Availability zones of a network: the minimum of Aurora and of balancers."""


OFF = "off"
"""Value of the variable CANARY that deploys a stage without canaries once."""


class InvalidStage(Exception):
    """A stage's settings are invalid. The message names the setting and the reason."""


SigningKeyName = Annotated[str, Field(pattern=r"^[a-z0-9]{1,16}$")]


class Stage(Settings):
    """All settings of one deployment."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,18}[a-z0-9]$")
    account: str | None = Field(default=None, pattern=r"^\d{12}$")
    region: str | None = None
    domain: Domain | None = None
    retain_data: bool = False
    log_retention_days: Literal[1, 3, 7, 14, 30, 60, 90, 180, 365] = 14
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    http_throttle: Throttle = Throttle(rate=500, burst=1000)
    websocket_throttle: Throttle = Throttle(rate=500, burst=1000)
    share_lifetime_seconds: int = Field(default=0, ge=0, description="0: shares do not expire by themselves")
    creates_per_minute: int = Field(default=30, gt=0, description="new shares per source address")
    anonymous_sharing: bool = Field(default=True, description="whether shares may be made without an account")
    anonymous_share_megabytes: int = Field(
        default=100, ge=0, description="a day for a share without an owner; 0: no end"
    )
    anonymous_share_items: int = Field(default=200_000, ge=0, description="a day for a share without an owner")
    anonymous_network_megabytes: int = Field(default=1000, ge=0, description="a day for all such shares of an address")
    anonymous_network_items: int = Field(default=1_000_000, ge=0, description="a day for all such shares of an address")
    anonymous_redaction: Literal["on", "report", "off"] = Field(
        default="on", description="secrets in shares without an owner: replaced, only counted, or not searched"
    )
    anonymous_syncs_per_second: int = Field(default=20, ge=0, description="of one share without an owner")
    viewers_per_share: int = Field(default=1000, gt=0, description="sockets that may follow one share")
    requests_per_minute: int = Field(default=600, gt=0, description="to /api/v1, per credential")
    architecture: Literal["arm64", "x86_64"] = "arm64"
    python: str = Field(default="3.13", pattern=r"^3\.\d+$")
    snap_start: bool = True
    canary: bool = Field(
        default=False, description="new versions get a tenth of the calls for five minutes, and go back if they fail"
    )
    alarm_email: str | None = None
    pager_url: str | None = Field(
        default=None,
        pattern=r"^https://[^\s]+$",
        description="takes SNS's messages of urgent alarms: a pager",
    )
    releases_url: str = Field(
        default="",
        pattern=r"^(https://[^\s]+)?$",
        description="asked once a day for the latest release, in the form of GitHub's API; empty: nothing is asked",
    )
    otlp_endpoint: str = Field(
        default="",
        pattern=r"^(https?://[^\s]+)?$",
        description="of an OpenTelemetry collector, or of X-Ray; empty: no spans",
    )
    watched: bool = Field(default=True, description="dashboard and alarms, which cost by the month")
    monthly_dollars: int = Field(
        default=0,
        ge=0,
        description="cost of the account beyond which alarm_email gets a mail; 0: no such mail",
    )
    firewall: Firewall | None = Field(default=None, description="None: the deployment has no firewall")
    database: Database = Database()
    backup: Backup = Backup()
    egress: Literal["nat-gateway", "nat-instance", "ipv6"] = Field(
        default="nat-instance", description="how functions beside the database reach the internet (decision 042)"
    )
    api_gateway_role: bool = Field(
        default=True, description="false: the account already has a role by which API Gateway writes logs"
    )
    zones: tuple[str, ...] = Field(
        default=(), description="the two availability zones of networks; none: the first two of the region"
    )
    signing_keys: tuple[SigningKeyName, ...] = Field(
        default=("a", "b"),
        min_length=1,
        max_length=5,
        description="keys that sign access tokens; two, so that a rotation needs no deployment",
    )
    login_methods: dict[str, Any] = Field(default={"email": {}}, description="docs/login.md")
    redirect_uris: tuple[str, ...] = Field(
        default=(), description="where clients on the web may be answered, exactly; programs on the loopback may always"
    )
    operators: tuple[Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")], ...] = Field(
        default=(),
        description="e-mail addresses of the people who may open /operator (decision 069); none: no such pages",
    )
    mail_from: str = Field(default="", description="address that SES may send from; none: mails fail")
    private_providers: bool = Field(
        default=False, description="model providers of workspaces may lie in private networks, and speak plain http"
    )
    billing: Billing = Billing()
    gateway: Gateway = Gateway()
    sync: Sync = Sync()
    anonymous_models: bool = Field(default=False, description="whether free models may be called without a key")
    anonymous_requests_per_day: int = Field(default=50, gt=0, description="without a key, per source address")
    usage_retention_days: int = Field(default=400, ge=31, description="that single model calls are kept, without text")
    check_mail_domains: bool = Field(default=True, description="DNS is asked whether an invited address can get mail")
    dns_server: str = Field(default="", description="asked for proofs of domains (address:port); none: the usual one")
    emulator: str | None = Field(default=None, description="endpoint of the AWS emulator; only stage local has one")
    quotas: Quotas = Quotas()
    github: GitHub | None = Field(default=None, description="None: the deployment has no GitHub App")
    stripe: Stripe | None = Field(default=None, description="None: the deployment takes no payments")

    @property
    def local(self) -> bool:
        """True if the stage runs on an emulator instead of AWS."""
        return self.emulator is not None

    @property
    def has_hubs(self) -> bool:
        """True if hubs may run. The local stage decides that when it starts."""
        return self.local or self.sync.runtime == "container"

    @property
    def copies_the_cluster(self) -> bool:
        """True if the cluster's backups are copied: not to another account if the cluster has AWS's own key."""
        within = self.backup.copy_account == self.account
        return bool(self.backup.copy_to) and (within or self.database.kms_key_arn is not None)

    @property
    def traces_to_xray(self) -> bool:
        """True if spans go to X-Ray, which takes them only from roles that may write them."""
        return bool(re.fullmatch(r"https://xray\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/?", self.otlp_endpoint))

    @property
    def public_url(self) -> str:
        """The URL that clients use; empty if it is known only from requests."""
        return f"https://{self.domain.name}" if self.domain else ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.local != (self.name == "local"):
            raise ValueError("stage local, and no other, runs on an emulator")
        if self.local:
            self._check_local()
        if len(set(self.signing_keys)) < len(self.signing_keys):
            raise ValueError("signing_keys: a name stands there twice")
        if self.sync.runtime == "container" and not self.domain:
            raise ValueError("sync.runtime = container needs a domain: functions reach hubs at the public address")
        if self.zones and not len(self.zones) == len(set(self.zones)) == ZONES:
            raise ValueError("zones: name two different zones, the minimum of Aurora and of balancers, or none")
        if self.name == "production":
            self._check_production()
        if self.monthly_dollars and not (self.watched and self.alarm_email):
            raise ValueError("monthly_dollars needs watched and alarm_email, the address of the mails")
        if self.firewall and not self.firewall.web_acl_arn and self.region != EDGE_REGION:
            raise ValueError(
                f"outside {EDGE_REGION} a firewall needs firewall.web_acl_arn, an ACL in {EDGE_REGION}: "
                "CloudFront takes no other"
            )
        if self.domain and not self.domain.certificate_arn and self.region != EDGE_REGION:
            raise ValueError(
                f"outside {EDGE_REGION} a domain needs domain.certificate_arn, a certificate in {EDGE_REGION}: "
                "CloudFront takes no other"
            )
        return self

    def _check_local(self) -> None:
        if self.gateway.runtime != "lambda":
            raise ValueError("stage local serves model calls by itself: it has no gateway.runtime")
        if self.sync.runtime != "lambda":
            raise ValueError("stage local chooses when it starts: make dev SYNC_RUNTIME=container")
        if self.domain or self.firewall:
            raise ValueError("stage local has no domain and no firewall: its front door listens on 127.0.0.1")
        if self.canary or self.backup.enabled:
            raise ValueError("stage local has no canary and no backup: the emulator has neither service")

    def _check_production(self) -> None:
        if self.watched and not self.alarm_email:
            raise ValueError("production needs alarm_email: without it no alarm reaches a person")
        if not self.mail_from and set(self.login_methods) <= {"email"}:
            raise ValueError("production needs mail_from, or a login method besides email, so that people can sign in")


def load(name: str, file: Path | None = None, environ: Mapping[str, str] = os.environ) -> Stage:
    """Return the settings of the stage `name`.

    Raises:
        InvalidStage: naming each setting that is missing, unknown or wrong.
    """
    path = file or STAGES / f"{name}.toml"
    if file and not file.exists():
        raise InvalidStage(f"stage {name}: there is no file {file}")
    try:
        overrides = tomllib.loads(path.read_text()) if path.exists() else {}
        return Stage.model_validate(_merge(_defaults(name, environ), overrides))
    except tomllib.TOMLDecodeError as error:
        raise InvalidStage(f"stage {name}: {path} is not TOML: {error}") from error
    except ValidationError as error:
        raise InvalidStage(f"stage {name} ({path}):\n" + "\n".join(_problems(error))) from error


def from_environment(context: Mapping[str, str], environ: Mapping[str, str] = os.environ) -> Stage:
    """Return the stage chosen by `cdk -c stage=... [-c stage_file=...]`, else by STAGE and STAGE_FILE, else dev."""
    name = context.get("stage") or environ.get("STAGE") or "dev"
    file = context.get("stage_file") or environ.get("STAGE_FILE")
    stage = load(name, Path(file) if file else None, environ)
    # For one deployment, without a change of the file.
    return stage.model_copy(update={"canary": False}) if environ.get("CANARY") == OFF else stage


def _defaults(name: str, environ: Mapping[str, str]) -> dict[str, Any]:
    account = environ.get("CDK_DEFAULT_ACCOUNT")
    shared = {"name": name, "account": account, "region": environ.get("CDK_DEFAULT_REGION")}
    match name:
        case "local":
            return shared | _local(environ)
        case "production":
            throttle = {"rate": 2000, "burst": 4000}
            return shared | {
                "retain_data": True,
                "log_retention_days": 90,
                "database": {"min_acu": 0.5, "max_acu": 16, "readers": 1, "backup_days": 14},
                "backup": {"enabled": True},
                "canary": True,
                "egress": "nat-gateway",
                # An account has 1,000 by default: streams leave the rest to sign-in, sharing and the console.
                "gateway": {"concurrency": 700},
                "http_throttle": throttle,
                "websocket_throttle": throttle,
            }
        case "dev":
            return shared
        case _:
            # A disposable stage needs no second signing key, which costs a dollar a month.
            cheap = {"snap_start": False, "watched": False, "signing_keys": ("a",), "egress": "ipv6"}
            return shared | {"log_retention_days": 7} | cheap


def _local(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the defaults of an emulator that runs handlers with this machine's own Python."""
    port = _port(environ, "MINISTACK_PORT", MINISTACK_PORT)
    return {
        "account": "000000000000",
        "region": environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1",
        "emulator": f"http://127.0.0.1:{port}",
        "architecture": "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64",
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "snap_start": False,
        "database": _local_database(environ),
        "mail_from": "Opencode Cloud <no-reply@localhost.test>",
        "operators": tuple(environ.get("OPERATORS", "").split()),
        "private_providers": True,
        "check_mail_domains": False,
        "log_retention_days": 1,
        "http_throttle": {"rate": 10_000, "burst": 10_000},
        "websocket_throttle": {"rate": 10_000, "burst": 10_000},
    }


def _local_database(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings of the MariaDB beside the emulator (local/database.py)."""
    return {
        "port": _port(environ, "DATABASE_PORT", 3306),
        "password": environ.get("DATABASE_PASSWORD", ""),
        "owner_password": environ.get("DATABASE_OWNER_PASSWORD", ""),
    }


def _port(environ: Mapping[str, str], name: str, default: int) -> int:
    port = environ.get(name, str(default))
    if not re.fullmatch(r"\d{1,5}", port):
        raise InvalidStage(f"stage local: {name} must be a port number, not {port!r}")
    return int(port)


def _merge(base: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    return base | {
        key: {**base[key], **value} if isinstance(value, dict) and isinstance(base.get(key), dict) else value
        for key, value in overrides.items()
    }


def _problems(error: ValidationError) -> list[str]:
    return [
        f"  {'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg'].removeprefix('Value error, ')}"
        for e in error.errors()
    ]
