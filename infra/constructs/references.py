"""The strength of references between stacks (docs/decisions/041).

References are weak (cdk.json), so that a setting or a release can take out what it refers to. Those to resources that
hold data are strong: CloudFormation refuses to remove or to replace such a resource while another stack uses it.
"""

from aws_cdk import CfnOutput, CfnResource, CrossStackReferences, Fn, ReferenceStrength, Stack
from constructs import IConstruct

OPTIONAL = "opencode-cloud:optional"
"""Metadata of a resource with data that a setting of the stage may take out."""


def hold(construct: IConstruct) -> None:
    """Make references of other stacks to `construct` strong. No setting of a stage may take it out."""
    CrossStackReferences.of(construct).produce(ReferenceStrength.STRONG)


def let_go(construct: IConstruct) -> None:
    """Mark `construct` as optional: a setting may take it out. Production then keeps it outside of its stack."""
    resource = construct.node.default_child
    if not isinstance(resource, CfnResource):
        raise TypeError(f"{construct.node.path} has no resource of its own")
    resource.add_metadata(OPTIONAL, value=True)


def weakly(reference: str) -> str:
    """Return `reference` for a stack that may be deleted: a weak one, even to a resource that holds data."""
    return Stack.consume_reference(reference, ReferenceStrength.WEAK)


def published(producer: Stack, name: str, value: str) -> str:
    """Return `value` of `producer` for other stacks, by a weak reference to its output `name`.

    For values that are computed from attributes: CloudFormation's functions do not compute with a weak reference.
    """
    CfnOutput(producer, name, value=value)
    return Fn.get_stack_output(producer.stack_name, name)
