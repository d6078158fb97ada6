"""Backups in a vault that outlives tables, buckets and cluster (docs/decisions/058)."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.cost import PriceList, idle, resources_of
from infra.stage import InvalidStage, load
from tests.infra.synthesis import Synthesis
from tests.infra.variants import MAIL, REGION, VAULT

VAULTS, PLANS, SELECTIONS = (f"AWS::Backup::Backup{kind}" for kind in ("Vault", "Plan", "Selection"))
KEY = "arn:aws:kms:us-east-1:111122223333:key/1"
REBUILT = {"Access", "Connections"}
"""Tables without a backup: a projection, and the sockets of the moment."""


def test_production_has_backups_and_other_stages_have_none(syntheses: Mapping[str, Synthesis]) -> None:
    kept = {name for name in ("dev", "alice", "local", "production") if "backup" in syntheses[name].templates}
    assert kept == {"production"}


def test_no_backup_can_be_deleted_before_its_end_nor_with_the_stack(syntheses: Mapping[str, Synthesis]) -> None:
    (vault,) = syntheses["production"].resources("backup", VAULTS).values()
    assert vault["Properties"]["LockConfiguration"] == {"MinRetentionDays": 14}
    assert vault["DeletionPolicy"] == vault["UpdateReplacePolicy"] == "Retain"
    assert syntheses["copied"].one("backup", VAULTS)["LockConfiguration"]["ChangeableForDays"] == 7
    for rule in _rules(syntheses["production"]):
        assert rule["Lifecycle"]["DeleteAfterDays"] == 14


def test_everything_that_cannot_be_rebuilt_is_backed_up(syntheses: Mapping[str, Synthesis]) -> None:
    production = syntheses["production"]
    named = json.dumps([it["BackupSelection"]["Resources"] for it in production.properties("backup", SELECTIONS)])
    tables = production.resources("data", "AWS::DynamoDB::GlobalTable")
    kept = {name for name in tables if f"{name}Arn" in named}
    assert {name[:-8] for name in set(tables) - kept} == REBUILT
    buckets = production.resources("data", "AWS::S3::Bucket")
    assert {name[:-8] for name in buckets if f"{name}Arn" in named} == {"Bodies", "Site"}
    cluster = production.one("database", "AWS::RDS::DBCluster")["DBClusterIdentifier"]
    assert f":cluster:{cluster}" in named


def test_a_missing_backup_wakes_an_operator(syntheses: Mapping[str, Synthesis]) -> None:
    production = syntheses["production"]
    alarm = production.one("backup", "AWS::CloudWatch::Alarm", "BackupsMissing")
    count = sum(len(it["BackupSelection"]["Resources"]) for it in production.properties("backup", SELECTIONS))
    assert alarm["Metrics"][0]["Expression"] == f"{count} - completed"
    assert alarm["TreatMissingData"] == "breaching"


def test_another_account_gets_copies(syntheses: Mapping[str, Synthesis]) -> None:
    rules = [rule for rule in _rules(syntheses["copied"]) if "CopyActions" in rule]
    assert {rule["RuleName"] for rule in rules} == {"daily", "database"}
    assert {copy["DestinationBackupVaultArn"] for rule in rules for copy in rule["CopyActions"]} == {VAULT}
    assert syntheses["copied"].one("database", "AWS::RDS::DBCluster")["KmsKeyId"].endswith("-555555555555")
    policy = json.dumps(syntheses["copied"].one("backup", "AWS::KMS::Key")["KeyPolicy"])
    assert "444455556666" in policy, "the other account reads the backup with the vault's key"


@pytest.mark.parametrize(
    ("account", "key", "copied"), [("444455556666", "", False), ("444455556666", KEY, True), ("111122223333", "", True)]
)
def test_a_cluster_with_aws_s_own_key_stays_in_its_account(
    tmp_path: Path, account: str, key: str, copied: bool
) -> None:
    file = tmp_path / "stage.toml"
    database = f'[database]\nkms_key_arn = "{key}"\n' if key else ""
    vault = VAULT.replace("444455556666", account)
    file.write_text(f'{REGION}{MAIL}[backup]\ncopy_to = "{vault}"\n{database}')
    assert load("production", file, environ={}).copies_the_cluster == copied


def test_the_vault_has_its_key_from_the_first_day(syntheses: Mapping[str, Synthesis]) -> None:
    vaults = [syntheses[name].one("backup", VAULTS) for name in ("production", "copied")]
    assert vaults[0]["EncryptionKeyArn"] == vaults[1]["EncryptionKeyArn"], "a vault never changes its key"


@pytest.mark.parametrize(
    ("setting", "said"),
    [("final_after_days = 2", "3 days"), ('copy_to = "my-vault"', "copy_to"), ("days = 1", "days")],
)
def test_a_wrong_setting_is_refused(tmp_path: Path, setting: str, said: str) -> None:
    file = tmp_path / "stage.toml"
    file.write_text(f"{MAIL}[backup]\n{setting}\n")
    with pytest.raises(InvalidStage, match=said):
        load("production", file, environ={})


def test_backups_of_an_idle_stage_are_priced(syntheses: Mapping[str, Synthesis]) -> None:
    items = {it.name: it for it in idle(resources_of(syntheses["production"].templates.values()), PriceList.read())}
    assert items["backups of the database"].monthly == pytest.approx((1 + 14 * 0.02) * 0.021)


def _rules(synthesis: Synthesis) -> list[dict[str, Any]]:
    return [rule for plan in synthesis.properties("backup", PLANS) for rule in plan["BackupPlan"]["BackupPlanRule"]]
