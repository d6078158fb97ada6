"""Stacks with a network that are synthesized without asking any account for its availability zones."""

import builtins
from typing import Any

import jsii
from aws_cdk import Fn, Stack
from constructs import Construct

from infra.stage import ZONES, Stage


class ZonedStack(Stack):
    """A stack whose networks are in the zones that the stage names, or in the region's first ones.

    CloudFormation selects the first ones. In some accounts a service does not run in one of them: name others there.
    """

    def __init__(self, scope: Construct, name: str, *, stage: Stage, **options: Any) -> None:
        super().__init__(scope, name, **options)
        self._zones = stage.zones

    @builtins.property
    @jsii.member(jsii_name="availabilityZones")
    def availability_zones(self) -> list[str]:
        """Return the zones' names, or references that CloudFormation resolves."""
        return list(self._zones) or [Fn.select(index, Fn.get_azs()) for index in range(ZONES)]
