"""The hubs: all of sharing in containers that hold the sockets (docs/decisions/029)."""

# jsii's classes do not match their own Protocols by pyright's rules: they name parameters differently.
# pyright: reportArgumentType=false

from typing import Any

from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from infra.constructs.containers import PORT, Containers, ContainerService
from infra.constructs.zones import ZonedStack
from infra.stacks.data import DataStack
from infra.stacks.sharing import SharingStack
from infra.stage import Stage

HEALTH = "/internal/health"
CIDR = "10.76.0.0/22"
LONGEST_BODY = 32 * 1024 * 1024
REQUESTS_PER_TASK = 30_000
"""Requests a minute, beyond which hubs are added: a third of what one process takes."""
GRACE_SECONDS = 20


class HubStack(ZonedStack):
    """The service `hub`."""

    def __init__(
        self, scope: Construct, name: str, *, stage: Stage, data: DataStack, sharing: SharingStack, **options: Any
    ) -> None:
        super().__init__(scope, name, stage=stage, **options)
        settings = stage.sync
        service = ContainerService(
            name="hub",
            cidr=CIDR,
            health=HEALTH,
            cpu=settings.task_cpu,
            memory=settings.memory,
            least_tasks=settings.least_tasks,
            most_tasks=settings.most_tasks,
            requests_per_task=REQUESTS_PER_TASK,
        )
        self.containers = Containers(
            self,
            service,
            stage=stage,
            shared={**data.shared_values, **sharing.hub_values()},
            own={
                "HUB_PORT": str(PORT),
                "HUB_SOCKETS": str(settings.sockets_per_task),
                "LONGEST_BODY": str(LONGEST_BODY),
            },
            serving={"HUB_GRACE": str(GRACE_SECONDS)},
        )
        sharing.allow_hub(self.containers)
        queues = [data.queues.by_name["audit"], sharing.queues.by_name["purges"]]
        self.containers.allow("sqs:SendMessage", on=[queue.queue_arn for queue in queues])
        # Hubs post records to each other at their own addresses.
        self.containers.service.connections.allow_internally(ec2.Port.tcp(PORT), "Posts of other hubs")

    def origin(self, **options: Any) -> cloudfront.IOrigin:
        """Return the hubs as an origin of the CDN; `options` are those of any origin over HTTP."""
        balancer = self.containers.balancer
        private = cloudfront.OriginProtocolPolicy.HTTP_ONLY
        return origins.VpcOrigin.with_application_load_balancer(balancer, protocol_policy=private, **options)
