"""Call the deployment's own gateway over HTTP, as its clients do, so that no rule of the gateway is repeated."""

from __future__ import annotations

import time
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.contracts.access import WORKSPACE_HEADER
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.marked_messages import gettext_noop

if TYPE_CHECKING:
    import urllib3

    from opencode_cloud.contracts.ids import WorkspaceId

AGENT = "playground"
"""The program's name in usage (``gateway/attribution.py``)."""
CHAT, COUNT = "/zen/v1/chat/completions", "/zen/v1/messages/count_tokens"
CONNECT_SECONDS, COUNT_SECONDS, ANSWER_SECONDS = 2, 3, 20
"""Together less than the 29 seconds in which a page must be answered."""
SLOW_CODE = "slow"
LONGEST_ANSWER = 1024 * 1024
UNREACHABLE = gettext_noop("The gateway did not answer. Try again.")
SLOW = (
    f"The model did not answer within {ANSWER_SECONDS} seconds, and the call was ended. It costs what was generated "
    "until then. Ask for a shorter answer."
)


class ActingCaller(msgspec.Struct, frozen=True):
    """The person for whom the gateway is called."""

    url: str
    """The URL of this deployment."""
    token: str
    """An access token of the person."""
    workspace_id: WorkspaceId


class ModelAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway's answer to one call."""

    text: str = ""
    refusal: str = ""
    """The reason for which there is no text; empty: there is one."""
    code: str = ""
    cut: bool = False
    """True if the text ends at its limit."""
    seconds: float = 0
    correlation_id: str = ""


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]


class _Counted(msgspec.Struct):
    input_tokens: int


class _Reason(msgspec.Struct):
    message: str
    code: str | None = None


class _Refusal(msgspec.Struct):
    error: _Reason


class GatewayClient:
    """Sends requests to the gateway of a deployment."""

    def count(self, caller: ActingCaller, model: str, prompt: str) -> int | None:
        """Return the tokens of a prompt; None if the caller may not use the model, or the gateway does not answer."""
        status, body, _ = self._post(caller, COUNT, {"model": model, "messages": _messages(prompt)}, COUNT_SECONDS)
        return msgspec.json.decode(body, type=_Counted).input_tokens if status == HTTPStatus.OK else None

    def ask(self, caller: ActingCaller, model: str, prompt: str, limit: int) -> ModelAnswer:
        """Ask a model; its answer has at most ``limit`` tokens."""
        began = time.monotonic()
        wanted = {"model": model, "messages": _messages(prompt), "max_tokens": limit}
        status, body, correlation = self._post(caller, CHAT, wanted, ANSWER_SECONDS)
        seconds = time.monotonic() - began
        try:
            if status != HTTPStatus.OK:
                reason = msgspec.json.decode(body, type=_Refusal).error
                return ModelAnswer(
                    refusal=reason.message, code=reason.code or "", seconds=seconds, correlation_id=correlation
                )
            choice = msgspec.json.decode(body, type=_Completion).choices[0]
        except (msgspec.DecodeError, IndexError):
            return ModelAnswer(refusal=UNREACHABLE, seconds=seconds, correlation_id=correlation)
        return ModelAnswer(
            text=choice.message.content or "",
            cut=choice.finish_reason == "length",
            seconds=seconds,
            correlation_id=correlation,
        )

    def _post(self, caller: ActingCaller, path: str, document: dict[str, Any], seconds: int) -> tuple[int, bytes, str]:
        """Send one request; return status, body and the correlation id. Status 0: there was no answer."""
        import urllib3  # slow to import, and few requests call the gateway

        headers = {
            "authorization": f"Bearer {caller.token}",
            "content-type": "application/json",
            "user-agent": AGENT,
            WORKSPACE_HEADER: caller.workspace_id,
        }
        try:
            answer = _pool().request(
                "POST",
                f"{caller.url}{path}",
                body=msgspec.json.encode(document),
                headers=headers,
                retries=False,
                redirect=False,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=seconds),
                preload_content=False,
            )
            try:
                return answer.status, answer.read(LONGEST_ANSWER), answer.headers.get("x-request-id", "")
            finally:
                answer.close()
        except urllib3.exceptions.ReadTimeoutError:
            return 0, msgspec.json.encode(_Refusal(_Reason(SLOW, SLOW_CODE))), ""
        except urllib3.exceptions.HTTPError as error:
            # Its text has the address only.
            logger.warning("the gateway could not be called", extra={"reason": type(error).__name__})
            return 0, b"", ""


@cache
def _pool() -> urllib3.PoolManager:
    import urllib3

    return urllib3.PoolManager(maxsize=4)


def _messages(prompt: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}]
