"""Stacks with a network that are synthesized without asking any account for its availability zones."""

import builtins

import jsii
from aws_cdk import Fn, Stack

ZONES = 2
"""As few as Aurora and balancers accept."""


class ZonedStack(Stack):
    """A stack whose networks lie in the region's first zones, chosen by CloudFormation."""

    @builtins.property
    @jsii.member(jsii_name="availabilityZones")
    def availability_zones(self) -> list[str]:
        """The zones, as CloudFormation will find them."""
        return [Fn.select(index, Fn.get_azs()) for index in range(ZONES)]
