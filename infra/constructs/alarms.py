"""Alarms of operators: each names its runbook and tells a topic; one composite alarm calls the person on duty."""

# jsii's classes do not match their own Protocols by pyright's rules: they name parameters differently.
# pyright: reportArgumentType=false

from dataclasses import dataclass

from aws_cdk import Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions

from infra.constructs.nag import acknowledge
from infra.constructs.queue import PLAIN_HTTP
from infra.constructs.runbooks import described
from infra.stage import Stage


@dataclass(frozen=True)
class Signal:
    """An alarm: more than `threshold` of `metric` in its period, with its meaning."""

    name: str
    metric: cloudwatch.IMetric
    threshold: float
    meaning: str
    runbook: str = ""
    """The heading of its runbook, if several alarms share one; its own name otherwise."""
    urgent: bool = False
    """True if people notice the cause at once, so that someone must act at night too."""
    silence: int = 0
    """Number of periods without data after which the alarm is raised too; 0: no data means that nothing happened."""


class Alarms:
    """The alarms of a stage, in its stack, with the topics that they tell."""

    def __init__(self, stack: Stack, stage: Stage) -> None:
        """Create the topic of all alarms."""
        self._stack = stack
        self._stage = stage
        self._urgent: list[cloudwatch.Alarm] = []
        self.topic = self._topic("Alarms")
        if stage.alarm_email:
            self.topic.add_subscription(subscriptions.EmailSubscription(stage.alarm_email))

    def add(self, signal: Signal, stack: Stack | None = None) -> None:
        """Create the alarm, in `stack` if it is not that of the topic.

        The emulator has no alarms on expressions, and so leaves those out.
        """
        if self._stage.local and isinstance(signal.metric, cloudwatch.MathExpression):
            return
        missing = cloudwatch.TreatMissingData
        alarm = cloudwatch.Alarm(
            stack or self._stack,
            signal.name,
            alarm_description=described(signal.meaning, signal.runbook or signal.name),
            metric=signal.metric,
            threshold=signal.threshold,
            evaluation_periods=signal.silence or 1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            treat_missing_data=missing.BREACHING if signal.silence else missing.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))
        if signal.urgent:
            self._urgent.append(alarm)

    def join(self) -> None:
        """Create the composite alarm of all urgent ones. It tells the pager where the stage has one."""
        if self._stage.local:
            return  # the emulator has no composite alarms
        raised = [cloudwatch.AlarmRule.from_alarm(alarm, cloudwatch.AlarmState.ALARM) for alarm in self._urgent]
        urgent = cloudwatch.CompositeAlarm(
            self._stack,
            "Urgent",
            alarm_description=described("People cannot work: at least one urgent alarm is raised.", "Urgent"),
            alarm_rule=cloudwatch.AlarmRule.any_of(*raised),
        )
        topic = self.topic
        if self._stage.pager_url:
            topic = self._topic("Pager")
            topic.add_subscription(subscriptions.UrlSubscription(self._stage.pager_url))
        urgent.add_alarm_action(actions.SnsAction(topic))
        urgent.add_ok_action(actions.SnsAction(topic))

    def _topic(self, name: str) -> sns.Topic:
        topic = sns.Topic(self._stack, name, enforce_ssl=not self._stage.local)
        if self._stage.local:
            acknowledge(topic, PLAIN_HTTP, "SNS3")
        # The topic's policy replaces SNS's own, which lets the whole account publish.
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid=name,
                actions=["sns:Publish"],
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                resources=[topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": self._stack.account}},
            )
        )
        return topic
