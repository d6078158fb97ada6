"""Requests to the gateway's HTTP, with rules that record what they get."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from opencode_cloud.contracts.access import login_required
from opencode_cloud.gateway.models import Incoming
from tests.unit.gateway.calling import Rig

LIMIT = 10_000
KEY = {"x-api-key": "oc_sk_x"}


class Seen:
    """A stand-in for the rules. It records their inputs."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.incoming: list[Incoming] = []

    async def serve(self, incoming: Incoming, sink: Any) -> None:
        self.incoming.append(incoming)
        await self._rig.calls.serve(incoming, sink)

    async def models(self, incoming: Incoming) -> Any:
        self.incoming.append(incoming)
        if not incoming.request.bearer:
            raise login_required()
        return self._rig.catalogue, [model for _, model in sorted(self._rig.catalogue.models.items())]

    async def count(self, incoming: Incoming) -> int:
        self.incoming.append(incoming)
        return await self._rig.admission.count(incoming)


@asynccontextmanager
async def nothing(_app: Any) -> AsyncIterator[None]:
    yield
