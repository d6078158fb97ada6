"""Acknowledged findings of cdk-nag, each next to its resource, with the reason."""

from typing import cast

from aws_cdk import Acknowledgment, Stack, Validations
from constructs import IConstruct


def acknowledge(construct: IConstruct, reason: str, *findings: str) -> None:
    """Accept `findings` (without their prefix `AwsSolutions-`) on `construct` and its children."""
    Validations.of(construct).acknowledge(
        *(Acknowledgment(id=f"AwsSolutions-{finding}", reason=reason) for finding in findings)
    )


def acknowledge_wildcards(construct: IConstruct, reason: str, *arns: str) -> None:
    """Accept that policies in `construct` name resources by `arns` that end in `*`."""
    acknowledge(construct, reason, *(f"IAM5[Resource::{_spell(Stack.of(construct), arn)}]" for arn in arns))


def _spell(stack: Stack, arn: str) -> str:
    """Write `arn` as cdk-nag does: references in angle brackets, imports by their export's name."""
    resolved = stack.resolve(arn)
    parts = cast("list[object]", resolved["Fn::Join"][1]) if isinstance(resolved, dict) else [resolved]
    return "".join(part if isinstance(part, str) else _reference(cast("dict[str, str]", part)) for part in parts)


def _reference(part: dict[str, str]) -> str:
    return part["Fn::ImportValue"] if "Fn::ImportValue" in part else f"<{part['Ref']}>"
