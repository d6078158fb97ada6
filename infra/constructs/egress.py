"""The way of functions beside the database to the internet (docs/decisions/042-egress.md)."""

# jsii's classes do not match their own Protocols by pyright's rules: they name parameters differently.
# pyright: reportArgumentType=false

from collections.abc import Sequence

import jsii
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from infra.constructs.metrics import PERIOD
from infra.constructs.runbooks import described

IMAGE = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
"""Amazon Linux 2023, which EC2 looks up when it starts an instance from a launch template.

CloudFormation does not look it up, so a newer image does not replace the instance in the middle of a deployment.
"""

BOOT = """\
# Half a gigabyte is too little for the package manager.
if ! swapon --show | grep -q /swapfile; then
  dd if=/dev/zero of=/swapfile bs=1M count=1024
  chmod 600 /swapfile
  mkswap /swapfile
  swapon /swapfile
  echo '/swapfile none swap defaults 0 0' >> /etc/fstab
fi
echo 'net.ipv4.ip_forward = 1' > /etc/sysctl.d/90-egress.conf
cat > /etc/egress.nft <<'RULES'
table ip egress
flush table ip egress
table ip egress {{
  chain out {{
    type nat hook postrouting priority srcnat;
    ip saddr {cidr} ip daddr != {cidr} masquerade
  }}
}}
RULES
cat > /etc/systemd/system/egress.service <<'UNIT'
[Unit]
Description=Forward packets of functions to the internet
Wants=network-online.target
After=network-online.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/sysctl -p /etc/sysctl.d/90-egress.conf
ExecStart=/usr/sbin/nft -f /etc/egress.nft
[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
# The package manager fails while the system's own updates hold its lock.
until command -v nft || dnf install -y nftables; do sleep 5; done
systemctl enable --now egress.service
"""
"""The first start of a NAT instance. Later starts repeat the service only."""


@jsii.implements(ec2.IMachineImage)
class ImageOfLaunchTemplate:
    """An image that the launch template names, so that the instance names none."""

    def get_image(self, scope: Construct) -> ec2.MachineImageConfig:  # noqa: ARG002 - the CDK's interface
        """Return a placeholder; `nat_instance` removes it."""
        return ec2.MachineImageConfig(
            image_id=IMAGE, os_type=ec2.OperatingSystemType.LINUX, user_data=ec2.UserData.for_linux()
        )


def nat_instance(cidr: str) -> ec2.NatInstanceProviderV2:
    """Return an instance that forwards packets from the network `cidr`."""
    script = ec2.UserData.for_linux()
    script.add_commands(*BOOT.format(cidr=cidr).splitlines())
    return ec2.NatProvider.instance_v2(
        instance_type=ec2.InstanceType("t4g.nano"),
        machine_image=ImageOfLaunchTemplate(),
        user_data=script,
        associate_public_ip_address=True,
        default_allowed_traffic=ec2.NatTrafficDirection.OUTBOUND_ONLY,
        credit_specification=ec2.CpuCredits.STANDARD,
    )


def watch_over(scope: Construct, instances: Sequence[ec2.Instance]) -> None:
    """Give instances their image, and alarms by which EC2 itself moves or restarts an instance that fails."""
    template = ec2.CfnLaunchTemplate(
        scope,
        "NatTemplate",
        launch_template_data=ec2.CfnLaunchTemplate.LaunchTemplateDataProperty(
            image_id=IMAGE,
            metadata_options=ec2.CfnLaunchTemplate.MetadataOptionsProperty(http_tokens="required"),
        ),
    )
    for number, instance in enumerate(instances, start=1):
        resource = instance.instance
        resource.add_property_deletion_override("ImageId")
        resource.launch_template = ec2.CfnInstance.LaunchTemplateSpecificationProperty(
            launch_template_id=template.ref, version="1"
        )
        for check, action in (
            ("System", actions.Ec2InstanceAction.RECOVER),
            ("Instance", actions.Ec2InstanceAction.REBOOT),
        ):
            cloudwatch.Alarm(
                scope,
                f"Nat{number}{check}Failed",
                alarm_description=described(
                    f"The NAT instance fails the check of its {check.lower()}: EC2 acts by itself.", "NatFailed"
                ),
                metric=instance_check(instance.instance_id, check),
                threshold=0,
                evaluation_periods=2,
                comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            ).add_alarm_action(actions.Ec2Action(action))


def instance_check(instance_id: str, check: str = "") -> cloudwatch.Metric:
    """Return the metric of failed status checks: `System`, `Instance`, or both."""
    name = f"StatusCheckFailed_{check}" if check else "StatusCheckFailed"
    return cloudwatch.Metric(
        namespace="AWS/EC2",
        metric_name=name,
        dimensions_map={"InstanceId": instance_id},
        statistic="Maximum",
        period=PERIOD,
    )


def gateway_is_full(nat_gateway_id: str) -> cloudwatch.Metric:
    """Return the metric of connections that a NAT gateway could not open."""
    return cloudwatch.Metric(
        namespace="AWS/NATGateway",
        metric_name="ErrorPortAllocation",
        dimensions_map={"NatGatewayId": nat_gateway_id},
        statistic="Sum",
        period=PERIOD,
    )
