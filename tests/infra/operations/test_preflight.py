"""The check of an account, before anything is deployed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from infra.operations.preflight import Finding, check
from infra.stage import Stage, load
from tests.infra.operations.stubs import stubbed
from tests.infra.variants import CERTIFICATE, DOMAIN, MAIL, REGION, SPANS


class Account:
    """An account, by the answers of its services; the clients check them against AWS's models."""

    def __init__(self, **changed: Any) -> None:
        limits = {"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": 1000}
        zone = {"Id": "Z", "Name": "example.com.", "CallerReference": "r", "Config": {"PrivateZone": False}}
        end = datetime.now(UTC) + timedelta(days=changed.get("certificate_days", 90))
        certificate = {"Status": changed.get("certificate", "ISSUED"), "NotAfter": end}
        self.answers: dict[str, list[tuple[str, Any]]] = {
            "sts": [("get_caller_identity", {"Account": changed.get("account", "111122223333")})],
            "ssm": [("get_parameter", {"Parameter": {"Value": changed.get("bootstrap", "28")}})],
            "lambda": [("get_account_settings", {"AccountLimit": limits | changed.get("limits", {})})],
            "sesv2": [
                ("get_account", {"ProductionAccessEnabled": changed.get("out_of_sandbox", True)}),
                ("get_email_identity", "NotFoundException"),
                ("get_email_identity", {"VerifiedForSendingStatus": changed.get("verified", True)}),
            ],
            "route53": [("get_hosted_zone", {"HostedZone": zone | changed.get("zone", {})})],
            "xray": [
                (
                    "get_trace_segment_destination",
                    {"Destination": changed.get("spans", "CloudWatchLogs"), "Status": "ACTIVE"},
                )
            ],
            "acm": [("describe_certificate", {"Certificate": certificate})],
        }

    def client(self, service: str, region: str | None = None) -> Any:
        assert (region == "us-east-1") == (service == "acm")
        client, stub = stubbed(service)
        for operation, answer in self.answers[service]:
            if isinstance(answer, str):
                stub.add_client_error(operation, answer)
            else:
                stub.add_response(operation, answer)
        return client


@pytest.fixture
def production(tmp_path: Path) -> Stage:
    file = tmp_path / "production.toml"
    file.write_text(REGION + MAIL + SPANS + DOMAIN + CERTIFICATE)
    return load("production", file, environ={})


def failures(stage: Stage, account: Account) -> list[Finding]:
    return [finding for finding in check(stage, account.client) if not finding.good]


def test_a_seasoned_account_lacks_nothing(production: Stage) -> None:
    assert failures(production, Account()) == []
    assert len(list(check(production, Account().client))) == 8


@pytest.mark.parametrize(
    ("changed", "fact", "advice"),
    [
        ({"account": "999999999999"}, "999999999999", "111122223333"),
        ({"bootstrap": "6"}, "version 6", "cdk bootstrap"),
        ({"limits": {"ConcurrentExecutions": 10}}, "10 invocations", "Service Quotas"),
        ({"limits": {"ConcurrentExecutions": 750}}, "gateway.concurrency = 700", "650 at most"),
        ({"out_of_sandbox": False}, "SES sends to every address", "sandbox"),
        ({"verified": False}, "send as no-reply@example.com", "Verify example.com"),
        ({"zone": {"Name": "example.org."}}, "example.org", "domain.zone_id"),
        ({"spans": "XRay"}, "X-Ray takes spans", "Transaction Search"),
        ({"certificate": "PENDING_VALIDATION"}, "pending_validation", "validated"),
        ({"certificate_days": 20}, "the certificate is issued, until 20", "Issue a certificate"),
    ],
)
def test_what_is_lacking_is_named_with_what_to_do(
    production: Stage, changed: dict[str, Any], fact: str, advice: str
) -> None:
    found = failures(production, Account(**changed))
    assert any(fact in finding.fact and advice in finding.advice for finding in found), found


@pytest.mark.parametrize(
    ("service", "operation", "error"),
    [("ssm", "get_parameter", "ParameterNotFound"), ("route53", "get_hosted_zone", "NoSuchHostedZone")],
)
def test_what_is_not_there_at_all_is_no_crash(production: Stage, service: str, operation: str, error: str) -> None:
    account = Account()
    account.answers[service] = [(operation, error)]
    assert len(failures(production, account)) == 1


def test_a_personal_stage_asks_only_what_it_needs() -> None:
    stage = load("alice", environ={})
    assert len(list(check(stage, Account().client))) == 3
