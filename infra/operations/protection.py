"""Protection of data from updates: the rule behind stack policies, frozen ids and `make deploy`.

A resource of a type in `LASTING` holds data. An update must neither remove it, nor change a property whose change makes
CloudFormation replace it (reference: "Update requires: Replacement" in the documentation of each type). A setting may
take out a resource that is marked as optional (infra/constructs/references.py). Production then keeps it outside of its
stack.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.constructs.references import OPTIONAL

LASTING: Mapping[str, tuple[str, ...]] = {
    "AWS::Backup::BackupVault": ("BackupVaultName", "EncryptionKeyArn"),
    "AWS::DynamoDB::GlobalTable": ("KeySchema", "TableName", "LocalSecondaryIndexes"),
    "AWS::KMS::Key": ("KeySpec", "KeyUsage", "MultiRegion", "Origin"),
    "AWS::RDS::DBCluster": (
        "AvailabilityZones",
        "DBClusterIdentifier",
        "DBSubnetGroupName",
        "DatabaseName",
        "Engine",
        "KmsKeyId",
        "MasterUsername",
        "SnapshotIdentifier",
        "StorageEncrypted",
    ),
    "AWS::S3::Bucket": ("BucketName",),
    "AWS::SecretsManager::Secret": ("Name",),
}
"""Types of resources that hold data, with the properties of which a change replaces the resource."""

VALUES: Mapping[str, tuple[str, ...]] = {"AWS::SecretsManager::Secret": ("GenerateSecretString", "SecretString")}
"""Properties of which a change keeps the resource, but overwrites what operators have put into it."""

Template = Mapping[str, Any]
Frozen = Mapping[str, Mapping[str, Any]]
"""Resources with data, by stack and logical id."""


@dataclass(frozen=True)
class Danger:
    """A change of an update that loses data, or protection of data."""

    stack: str
    logical_id: str
    kind: str
    change: str

    def __str__(self) -> str:
        return f"{self.stack}: {self.logical_id} ({self.kind}) {self.change}"


def frozen(templates: Mapping[str, Template]) -> dict[str, dict[str, Any]]:
    """Return the resources with data in `templates` (by stack), with their type and the properties that must stay."""
    found = {
        stack: {
            name: {"Type": it["Type"], "Properties": _kept(it)}
            for name, it in sorted(template.get("Resources", {}).items())
            if it["Type"] in LASTING and OPTIONAL not in it.get("Metadata", {})
        }
        for stack, template in sorted(templates.items())
    }
    return {stack: resources for stack, resources in found.items() if resources}


def dangers(before: Frozen, after: Mapping[str, Template]) -> list[Danger]:
    """Return the losses of an update to the templates `after` (by stack).

    A stack that `after` lacks is not updated, so nothing of it is lost.
    """
    found: list[Danger] = []
    for stack, resources in before.items():
        if stack in after:
            found += _of_stack(stack, resources, after[stack].get("Resources", {}))
    return found


def _of_stack(stack: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Danger]:
    for name, old in before.items():
        kind, new = old["Type"], after.get(name)
        if new is None or new["Type"] != kind:
            yield Danger(stack, name, kind, "would be removed")
            continue
        changed = [key for key, value in _kept(new).items() if _text(old["Properties"].get(key)) != _text(value)]
        replacing = [key for key in changed if key in LASTING[kind]]
        if replacing:
            yield Danger(stack, name, kind, f"would be replaced, since {', '.join(replacing)} changes")
        elif changed:
            yield Danger(stack, name, kind, f"would get a new value, since {', '.join(changed)} changes")


def _kept(resource: Mapping[str, Any]) -> dict[str, Any]:
    kind = resource["Type"]
    properties = resource.get("Properties", {})
    return {key: properties.get(key) for key in (*LASTING[kind], *VALUES.get(kind, ()))}


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def stack_policy(logical_ids: Iterable[str]) -> str:
    """Return the policy of a stack, by which CloudFormation refuses to remove or to replace the given resources."""
    statements: list[dict[str, Any]] = [{"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}]
    if protected := [f"LogicalResourceId/{logical_id}" for logical_id in sorted(logical_ids)]:
        refused = ["Update:Replace", "Update:Delete"]
        statements.append({"Effect": "Deny", "Action": refused, "Principal": "*", "Resource": protected})
    return json.dumps({"Statement": statements})
