"""Stacks with a network that are synthesized without asking any account for its availability zones."""

import builtins

import jsii
from aws_cdk import Fn, Stack

ZONES = 2
"""The minimum of Aurora and of balancers."""


class ZonedStack(Stack):
    """A stack whose networks are in the region's first zones, which CloudFormation selects."""

    @builtins.property
    @jsii.member(jsii_name="availabilityZones")
    def availability_zones(self) -> list[str]:
        """Return the zones, as references that CloudFormation resolves."""
        return [Fn.select(index, Fn.get_azs()) for index in range(ZONES)]
