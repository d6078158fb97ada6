"""A function or a container that runs our code under its own role."""

from collections.abc import Sequence

from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.constructs.nag import acknowledge_wildcards


class Workload(Construct):
    """A workload with a role that has no rights at first."""

    def __init__(self, scope: Construct, name: str, *, principal: str) -> None:
        """Build with a role that the service `principal` may assume."""
        super().__init__(scope, name)
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal(principal))  # pyright: ignore[reportArgumentType]

    def allow(self, *actions: str, on: Sequence[str]) -> None:
        """Grant `actions` on the resources with the ARNs `on`."""
        self.role.add_to_policy(iam.PolicyStatement(actions=list(actions), resources=list(on)))

    def allow_any(self, *actions: str, on: Sequence[str], because: str) -> None:
        """Grant `actions` on ARNs with a wildcard; `reason` says why no narrower ARN exists."""
        self.allow(*actions, on=on)
        acknowledge_wildcards(self.role, because, *on)

    def allow_rows(self, *actions: str, table: str, keys: Sequence[str]) -> None:
        """Grant `actions` on those rows of a table whose partition keys are like `keys`."""
        self.role.add_to_policy(
            iam.PolicyStatement(
                actions=[f"dynamodb:{action}" for action in actions],
                resources=[table],
                conditions={"ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(keys)}},
            )
        )
