from pathlib import Path

import pytest

from infra.stage import InvalidStage, from_environment, load
from opencode_cloud.kit.xray import HOST
from tests.infra.variants import MAIL


@pytest.fixture
def production_file(tmp_path: Path) -> Path:
    file = tmp_path / "production.toml"
    file.write_text(MAIL)
    return file


def test_each_stage_has_defaults_of_its_own(production_file: Path) -> None:
    production = load("production", production_file, environ={})
    dev, personal = (load(name, environ={}) for name in ("dev", "alice"))
    assert production.retain_data
    assert not dev.retain_data
    assert not personal.snap_start
    assert {production.python, dev.python, personal.python} == {"3.13"}
    assert production.log_retention_days > dev.log_retention_days > personal.log_retention_days


def test_local_runs_on_the_emulator_of_the_given_port() -> None:
    assert load("local", environ={}).emulator == "http://127.0.0.1:4566"
    assert load("local", environ={"MINISTACK_PORT": "5001"}).emulator == "http://127.0.0.1:5001"
    with pytest.raises(InvalidStage, match="MINISTACK_PORT"):
        load("local", environ={"MINISTACK_PORT": "http"})


def test_context_goes_before_environment_and_dev_is_the_default(production_file: Path) -> None:
    assert from_environment({}, {}).name == "dev"
    assert from_environment({}, {"STAGE": "alice"}).name == "alice"
    assert (
        from_environment({"stage": "production", "stage_file": str(production_file)}, {"STAGE": "alice"}).name
        == "production"
    )


def test_account_and_region_come_from_the_cdk(tmp_path: Path) -> None:
    environ = {"CDK_DEFAULT_ACCOUNT": "111122223333", "CDK_DEFAULT_REGION": "eu-west-1"}
    assert (load("dev", environ=environ).account, load("dev", environ=environ).region) == ("111122223333", "eu-west-1")


def test_a_file_overrides_single_settings(tmp_path: Path, production_file: Path) -> None:
    file = tmp_path / "any.toml"
    file.write_text(MAIL + "share_lifetime_seconds = 86400\n[http_throttle]\nburst = 7\n")
    stage = from_environment({}, {"STAGE": "production", "STAGE_FILE": str(file)})
    assert stage.share_lifetime_seconds == 86400
    assert stage.http_throttle.burst == 7
    assert stage.http_throttle.rate == load("production", production_file, environ={}).http_throttle.rate


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("dev", "colour = 'blue'", "colour"),
        ("dev", "creates_per_minute = 0", "creates_per_minute"),
        ("dev", "architecture = 'sparc'", "arm64"),
        ("dev", "not toml", "is not TOML"),
        ("Dev", "", "name"),
        ("dev", "emulator = 'http://127.0.0.1:1'", "stage local, and no other"),
        ("local", "[domain]\nname='a'\nzone_id='b'\nzone_name='c'", "has no domain"),
        ("dev", "region = 'eu-west-1'\n[domain]\nname='a'\nzone_id='b'\nzone_name='c'", "certificate_arn"),
        ("dev", "[domain]\nname='a'", "domain.zone_id"),
        ("dev", "zones = ['us-east-1a']", "two different zones"),
        ("dev", "zones = ['us-east-1a', 'us-east-1a']", "two different zones"),
        ("dev", "zones = ['us-east-1a', 'us-east-1b', 'us-east-1c']", "two different zones"),
        ("dev", "region = 'eu-west-1'\n[firewall]", "web_acl_arn"),
        ("dev", "[firewall]\nrequests = 9", "firewall.requests"),
        ("local", "[firewall]", "no firewall"),
        ("dev", "monthly_dollars = 100", "alarm_email"),
        ("production", "mail_from = 'no-reply@example.com'", "alarm_email"),
        ("production", "alarm_email = 'operator@example.com'", "mail_from"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, name: str, text: str, said: str) -> None:
    file = tmp_path / "stage.toml"
    file.write_text(text)
    with pytest.raises(InvalidStage, match=said):
        load(name, file, environ={})


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(InvalidStage, match="no file"):
        load("dev", tmp_path / "missing.toml", environ={})


def test_production_without_mail_has_another_way_to_sign_in(tmp_path: Path) -> None:
    file = tmp_path / "stage.toml"
    file.write_text("alarm_email = 'operator@example.com'\n[login_methods.github]\n")
    assert not load("production", file, environ={}).mail_from


@pytest.mark.parametrize(
    "endpoint",
    ["https://xray.eu-west-1.amazonaws.com", "https://xray.cn-north-1.amazonaws.com.cn", "https://otel.example.com"],
)
def test_the_stage_and_the_gateway_know_the_same_addresses_of_xray(tmp_path: Path, endpoint: str) -> None:
    file = tmp_path / "stage.toml"
    file.write_text(f"otlp_endpoint = '{endpoint}'\n")
    signed = HOST.fullmatch(endpoint.removeprefix("https://")) is not None
    assert load("dev", file, environ={}).traces_to_xray == signed
