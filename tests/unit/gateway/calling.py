"""The gateway's real rules with scripted upstreams, budgets and client connections."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opencode_cloud.access import rules
from opencode_cloud.access.service import AccessRequest
from opencode_cloud.access.service.inference import Caller
from opencode_cloud.catalogue.models import Catalogue, Format, Model
from opencode_cloud.contracts.access import KnownCredentials, KnownWorkspace
from opencode_cloud.contracts.actor import Actor, ActorKind
from opencode_cloud.contracts.audit import Target
from opencode_cloud.contracts.budgets import BudgetExhausted, Reservation
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.contracts.usage import UsageEvent
from opencode_cloud.gateway.models import AttemptFailed, Incoming, UpstreamTarget
from opencode_cloud.gateway.service import Calls, Health
from opencode_cloud.gateway.service.admission import CallAdmission
from opencode_cloud.gateway.service.anonymous import Anonymous
from opencode_cloud.gateway.service.refusals import Refusals
from opencode_cloud.kit.clock import now_ms
from opencode_cloud.kit.errors import Unavailable

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
Step = bytes | float | Exception
"""A step of an answer's body: bytes, a pause in seconds, or a break."""


def sse(*events: Any) -> bytes:
    return b"".join(b"data: " + (e if isinstance(e, bytes) else json.dumps(e).encode()) + b"\n\n" for e in events)


def delta(text: str) -> dict[str, Any]:
    return {"id": "c1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": text}}]}


END = {
    "id": "c1",
    "object": "chat.completion.chunk",
    "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
}
WHOLE = sse(delta("Hello"), END, {"id": "c1", "choices": [], "usage": USAGE}, b"[DONE]")
COMPLETION = json.dumps(
    {
        "id": "c1",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
        "usage": USAGE,
    }
).encode()


@dataclass
class Scripted:
    """A scripted answer of an upstream."""

    steps: Sequence[Step] = (WHOLE,)
    status: int = 200
    content_type: str = "text/event-stream"
    retry_after: float | None = None
    service_tier: str = ""
    closed: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._left = list(self.steps)

    async def chunk(self) -> bytes:
        while self._left:
            step = self._left.pop(0)
            if isinstance(step, float):
                now = asyncio.get_running_loop().time
                until = now() + step
                try:
                    await asyncio.sleep(step)
                except asyncio.CancelledError:
                    # The caller can cancel and call again. The pause then continues.
                    self._left.insert(0, max(0.0, until - now()))
                    raise
            elif isinstance(step, Exception):
                raise step
            else:
                return bytes(step)
        return b""

    async def body(self, longest: int = 0) -> bytes:
        parts: list[bytes] = []
        while part := await self.chunk():
            parts.append(part)
        return b"".join(parts)

    def close(self, *, used_up: bool) -> None:
        self.closed.append(used_up)


class Ledger:
    """A stand-in for the budgets. It records calls, and refuses on demand."""

    def __init__(self) -> None:
        self.reserved: list[Reservation] = []
        self.events: list[UsageEvent] = []
        self.refusal: Exception | None = None
        self.percent = 0
        """The used part of the fullest budget of money."""
        self.most: int | None = None
        """The highest cost that fits the budgets."""
        self.outages = 0
        """Number of the next settlements that fail."""

    async def reserve(self, reservation: Reservation, facts: UsageEvent) -> None:
        if self.refusal:
            raise self.refusal
        self._fit(reservation)
        self.reserved.append(reservation)

    async def exchange(self, old: Reservation, new: Reservation, facts: UsageEvent) -> bool:
        assert old is self.reserved[-1]
        assert (old.id, facts.id) == (new.id, new.id)
        self._fit(new)
        self.reserved.append(new)
        return True

    async def used_percent(self, reservation: Reservation) -> int:
        return self.percent

    def _fit(self, reservation: Reservation) -> None:
        if self.most is not None and reservation.claim.cost > self.most:
            raise BudgetExhausted("The budget is used up.", {}, None)

    async def settle(self, reservation: Reservation, event: UsageEvent) -> bool:
        assert reservation is self.reserved[-1]
        if self.outages:
            self.outages -= 1
            raise Unavailable("store_unavailable", "no")
        self.events.append(event)
        return True


class Connection:
    """The client's end of the connection."""

    def __init__(self) -> None:
        self.begun = False
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.parts: list[bytes] = []
        self.reached = asyncio.Event()
        """Set when a part of the body has arrived."""

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:
        assert not self.begun
        self.begun, self.status, self.headers = True, status, headers

    async def send(self, data: bytes) -> None:
        assert self.begun
        self.parts.append(data)
        self.reached.set()

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)


class _Access:
    """Admits every request as the rig's caller."""

    def __init__(self, rig: Any) -> None:
        self._rig = rig

    async def caller(self, _request: AccessRequest, _workspace: str) -> Caller:
        return self._rig.caller

    def check(self, caller: Caller) -> None:
        rules.require(caller.actor, [Permission.INFERENCE])


class Rig:
    """Calls against one catalogue. ``script`` defines the answers to attempts by upstream."""

    def __init__(self, catalogue: Catalogue, script: Callable[[UpstreamTarget], Scripted | AttemptFailed]) -> None:
        self.catalogue = catalogue
        self.script = script
        self.asked: list[tuple[UpstreamTarget, bytes]] = []
        self.headers: list[Mapping[str, str]] = []
        self.unknown_keys: set[str] = set()
        """Upstreams whose keys were set recently."""
        self.asked_afresh = 0
        self.looked_for_missing = 0
        self.answers: list[Scripted] = []
        self.ledger = Ledger()
        self.told: list[tuple[UsageEvent, bool]] = []
        self.health = Health()
        actor = Actor(kind=ActorKind.MEMBER, id="mem_1", workspace_id=WorkspaceId("wrk_1"), role="member")
        workspace = KnownWorkspace(id=WorkspaceId("wrk_1"), name="One")
        self.caller = Caller(actor=actor, workspace=workspace, credentials=KnownCredentials())
        rig: Any = self
        access: Any = _Access(self)
        self.refused: list[tuple[Actor, Target, dict[str, Any]]] = []
        refusals = Refusals(self.refuse)
        anonymous = Anonymous(allowed=False, requests_a_day=0)
        self.admission = CallAdmission(access, rig, rig, self.health, anonymous, refusals)
        ledger: Any = self.ledger
        self.calls = Calls(self.admission, ledger, self.health, self.open, self.tell, refusals)

    # Stand-ins for the catalogue and the store of keys, for admission.
    async def current(self) -> Catalogue:
        return self.catalogue

    async def platform(self, *, fresh: bool = False) -> Mapping[str, str]:
        self.asked_afresh += fresh
        return {name: f"key-{name}" for name in self.catalogue.upstreams if fresh or name not in self.unknown_keys}

    def look_for_missing(self) -> None:
        self.looked_for_missing += 1

    def open(
        self, target: UpstreamTarget, body: bytes, passed_on: Mapping[str, str], stream: bool
    ) -> Awaitable[Scripted]:
        self.asked.append((target, body))
        self.headers.append(passed_on)
        return self._open(target)

    async def _open(self, target: UpstreamTarget) -> Scripted:
        answer = self.script(target)
        if isinstance(answer, AttemptFailed):
            raise answer
        self.answers.append(answer)
        return answer

    async def refuse(self, actor: Actor, action: str, target: Target, facts: dict[str, Any]) -> None:
        assert action == "call.refused"
        self.refused.append((actor, target, facts))

    def tell(self, event: UsageEvent, *, settled: bool) -> None:
        self.told.append((event, settled))

    @property
    def model(self) -> Model:
        return next(iter(self.catalogue.models.values()))

    async def call(self, *, stream: bool = True, sink: Connection | None = None, **body: Any) -> Connection:
        sink = sink or Connection()
        await self.calls.serve(self.incoming(stream=stream, **body), sink)
        return sink

    def incoming(self, *, stream: bool = True, session: str = "ses_1", opencode: bool = False, **body: Any) -> Incoming:
        given = {"model": self.model.id, "messages": [{"role": "user", "content": "Hi"}], "stream": stream, **body}
        if stream:
            given.setdefault("stream_options", {"include_usage": True})
        return Incoming(
            format=Format.CHAT,
            body=json.dumps(given).encode(),
            request=AccessRequest(bearer="oc_sk_x", correlation_id="trace"),
            session=session,
            opencode=opencode,
            tracing={"traceparent": "00-1-2-01"},
            passed_on={"anthropic-version": "1"},
            metadata={"client": "cli"},
            at=now_ms(),
        )
