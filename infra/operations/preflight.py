"""`make preflight STAGE=...`: what an account lacks for a stage, with what to do. It reads, and changes nothing."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parseaddr
from typing import Any

from infra.operations.stages import chosen, client
from infra.stacks.service_signals import CERTIFICATE_DAYS
from infra.stage import EDGE_REGION, Stage

BOOTSTRAP_VERSION = "/cdk-bootstrap/hnb659fds/version"
LEAST_BOOTSTRAP = 21
UNRESERVED = 100
"""Concurrency that Lambda keeps for functions without a reservation."""

LEAST_CONCURRENCY = 200
"""Below this, model calls and people get in each other's way even on a small stage."""


@dataclass(frozen=True)
class Finding:
    """A fact about the account: whether the stage can be deployed with it, and what to do if it cannot."""

    good: bool
    fact: str
    advice: str = ""

    def __str__(self) -> str:
        return f"ok    {self.fact}" if self.good else f"FAIL  {self.fact}\n      {self.advice}"


Client = Callable[..., Any]


def main() -> None:
    """Print all findings about the stage that STAGE chooses. End with status 1 if one of them is a failure."""
    stage = chosen()

    def client_of(service: str, region: str | None = None) -> Any:
        return client(service, stage, region)

    findings = list(check(stage, client_of))
    sys.stdout.write("\n".join(map(str, findings)) + "\n")
    sys.exit(not all(finding.good for finding in findings))


def check(stage: Stage, client_of: Client) -> Iterator[Finding]:
    """Yield what is known about the account; `client_of` returns boto3's client of a service, in a region."""
    yield _account(stage, client_of("sts"))
    yield _bootstrap(client_of("ssm"))
    yield from _concurrency(stage, client_of("lambda"))
    if stage.mail_from:
        yield from _mail(stage, client_of("sesv2"))
    if stage.traces_to_xray:
        yield _spans(client_of("xray"))
    if stage.domain:
        yield _zone(stage, client_of("route53"))
    if stage.domain and stage.domain.certificate_arn:
        yield _certificate(stage.domain.certificate_arn, client_of("acm", EDGE_REGION))


def _account(stage: Stage, sts: Any) -> Finding:
    account = sts.get_caller_identity()["Account"]
    fact = f"the credentials are of account {account}"
    return Finding(stage.account in (None, account), fact, f"The stage is of {stage.account}: use its credentials.")


def _bootstrap(ssm: Any) -> Finding:
    advice = "Run `node_modules/.bin/cdk bootstrap aws://ACCOUNT/REGION`."
    try:
        version = int(ssm.get_parameter(Name=BOOTSTRAP_VERSION)["Parameter"]["Value"])
    except ssm.exceptions.ParameterNotFound:
        return Finding(False, "account and region are not bootstrapped for the CDK", advice)
    return Finding(version >= LEAST_BOOTSTRAP, f"the CDK's bootstrap has version {version}", advice)


def _concurrency(stage: Stage, lambda_: Any) -> Iterator[Finding]:
    limits = lambda_.get_account_settings()["AccountLimit"]
    total = limits["ConcurrentExecutions"]
    advice = "Ask for 1,000 in Service Quotas, Lambda, Concurrent executions. It takes a day or two."
    yield Finding(total >= LEAST_CONCURRENCY, f"Lambda runs {total} invocations at one time", advice)
    wanted = stage.gateway.concurrency if stage.gateway.runtime == "lambda" else 0
    if wanted > total - UNRESERVED:
        yield Finding(
            False,
            f"gateway.concurrency = {wanted} leaves less than {UNRESERVED} of {total} to other functions",
            f"Set gateway.concurrency to {max(0, total - UNRESERVED)} at most; 0 reserves nothing.",
        )


def _mail(stage: Stage, ses: Any) -> Iterator[Finding]:
    account = ses.get_account()
    advice = "Ask AWS to move the account out of SES's sandbox (SES, Account dashboard). It takes about a day."
    yield Finding(account["ProductionAccessEnabled"], "SES sends to every address, not only to verified ones", advice)
    _, sender = parseaddr(stage.mail_from)
    _, _, domain = sender.rpartition("@")
    labels = domain.split(".")
    # A verified domain may also send for its subdomains.
    domains = [".".join(labels[first:]) for first in range(len(labels) - 1)]
    good = any(_verified(ses, identity) for identity in (sender, *domains))
    yield Finding(good, f"SES may send as {stage.mail_from}", f"Verify {domain} in SES, Identities, in this region.")


def _verified(ses: Any, identity: str) -> bool:
    try:
        return ses.get_email_identity(EmailIdentity=identity)["VerifiedForSendingStatus"]
    except ses.exceptions.NotFoundException:
        return False


def _spans(xray: Any) -> Finding:
    found = xray.get_trace_segment_destination()
    good = (found["Destination"], found["Status"]) == ("CloudWatchLogs", "ACTIVE")
    advice = "Enable Transaction Search (CloudWatch, Settings, X-Ray traces): X-Ray takes no spans by OTLP without it."
    return Finding(good, "X-Ray takes spans by OTLP", advice)


def _zone(stage: Stage, route53: Any) -> Finding:
    if stage.domain is None:
        raise ValueError("the stage has no domain")
    domain = stage.domain
    advice = f"Correct domain.zone_id and domain.zone_name, or create the public hosted zone {domain.zone_name}."
    try:
        zone = route53.get_hosted_zone(Id=domain.zone_id)["HostedZone"]
    except route53.exceptions.NoSuchHostedZone:
        return Finding(False, f"there is no hosted zone {domain.zone_id}", advice)
    good = zone["Name"].rstrip(".") == domain.zone_name and not zone["Config"]["PrivateZone"]
    good = good and (domain.name == domain.zone_name or domain.name.endswith(f".{domain.zone_name}"))
    return Finding(good, f"the public hosted zone {zone['Name']} can have {domain.name}", advice)


def _certificate(arn: str, acm: Any) -> Finding:
    advice = f"Issue a certificate in {EDGE_REGION}, wait until it is validated, and name it in domain.certificate_arn."
    try:
        certificate = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    except acm.exceptions.ResourceNotFoundException:
        return Finding(False, f"there is no certificate {arn} in {EDGE_REGION}", advice)
    status, end = certificate["Status"], certificate.get("NotAfter")
    lasts = end is None or end - datetime.now(UTC) > timedelta(days=CERTIFICATE_DAYS)
    until = f", until {end:%Y-%m-%d}" if end else ""
    return Finding(status == "ISSUED" and lasts, f"the certificate is {status.lower()}{until}", advice)


if __name__ == "__main__":
    main()
