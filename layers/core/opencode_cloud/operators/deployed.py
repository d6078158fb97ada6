"""Call the functions of a deployed stage with the operator's own AWS credentials."""

from __future__ import annotations

import json
from typing import Any

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

SECONDS = 120
"""The function's time limit. It includes the time in which a paused database resumes."""


class CallRejected(Exception):
    """AWS refused the call; the message says why."""


class Deployed:
    """The function for operators of one stage."""

    def __init__(self, stage: str) -> None:
        self._stack = f"opencode-cloud-{stage}-console"
        self._session: Any = Session()

    def call(self, command: dict[str, Any]) -> dict[str, Any]:
        """Invoke ``functions/operate`` with a command, in the name of the credentials' owner.

        Raises:
            CallRejected: Without credentials, stage or right to invoke, or when the function fails.
        """
        try:
            operator = self._session.client("sts").get_caller_identity()["Arn"]
            config = Config(read_timeout=SECONDS, retries={"total_max_attempts": 1})  # a retry could act twice
            answer = self._session.client("lambda", config=config).invoke(
                FunctionName=self._function(),
                Qualifier="live",
                Payload=json.dumps({"operator": operator, "command": command}).encode(),
            )
        except (BotoCoreError, ClientError) as error:
            raise CallRejected(f"AWS: {error}") from error
        answer_document = json.load(answer["Payload"])
        if "FunctionError" in answer:
            raise CallRejected(f"The function failed: {answer_document.get('errorMessage')}. Its log says more.")
        return answer_document

    def _function(self) -> str:
        stack = self._session.client("cloudformation").describe_stacks(StackName=self._stack)["Stacks"][0]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
        if "OperateFunctionName" not in outputs:
            raise CallRejected(f"The stack {self._stack} has no function for operators. Deploy it again.")
        return outputs["OperateFunctionName"]
