"""The requests of one call to its upstreams: bodies, and the client's headers that an upstream gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.catalogue.models import Format, UpstreamKind
from opencode_cloud.gateway import beta_flags
from opencode_cloud.gateway.beta_flags import SortedFlags, sorted_flags
from opencode_cloud.gateway.formats import (
    RENAMED,
    ForwardedRequest,
    UpstreamFault,
    adaptable_parts,
    adapted,
    forward_embedding,
    forward_request,
    parts_in,
    refused_parts,
)
from opencode_cloud.gateway.models import UpstreamTarget

if TYPE_CHECKING:
    from opencode_cloud.gateway.service.call_state import CallState
    from opencode_cloud.gateway.service.refused_parts import RefusedParts


class OutgoingRequests:
    """Writes the request for each upstream once, because an upstream may be asked in several rounds."""

    def __init__(self, state: CallState, refused: RefusedParts) -> None:
        self._state = state
        self._refused = refused
        self._written: dict[UpstreamTarget, ForwardedRequest] = {}
        self._thoughtless: set[UpstreamTarget] = set()

    def to(self, target: UpstreamTarget) -> ForwardedRequest:
        """Return the request to an upstream. Raises :class:`InvalidRequest` that names what cannot be carried over."""
        if target not in self._written:
            self._written[target] = self._adapted(target, self._write(target))
        return self._written[target]

    def leave_out_thoughts(self, target: UpstreamTarget) -> bool:
        """Leave signed thoughts out of the requests to an upstream. Tell whether its next request differs by that."""
        if target in self._thoughtless:
            return False
        self._thoughtless.add(target)
        before = self._written.pop(target, None)
        return before is None or self.to(target).body != before.body

    def adapt(self, target: UpstreamTarget, fault: UpstreamFault) -> bool:
        """Do without the parts that an upstream calls unknown in the requests to it. Tell whether there are any."""
        names = refused_parts(fault, parts_in(self.to(target).body, adaptable_parts(target.format)))
        if names:
            self._refused.note(target.circuit, names)
            del self._written[target]
        return bool(names)

    def headers(self, target: UpstreamTarget) -> dict[str, str]:
        """Return the client's headers for an upstream: those of the trace, and of the same vendor."""
        incoming = self._state.incoming
        if target.format is not incoming.format:
            return dict(incoming.tracing)
        headers = {**incoming.tracing, **incoming.passed_on}
        headers.pop(beta_flags.HEADER, None)
        if known := self._flags(target).known:
            headers[beta_flags.HEADER] = ",".join(known)
        return headers

    def _write(self, target: UpstreamTarget) -> ForwardedRequest:
        state = self._state
        asked = (state.parsed, target.format, target.model, state.pseudonym)
        if state.parsed.embedding is not None:
            # Many of these servers refuse Base64, or ignore it. The gateway packs their numbers itself.
            return forward_embedding(*asked, numbers_only=target.upstream.kind is UpstreamKind.OPENAI_COMPATIBLE)
        forwarded = forward_request(
            *asked,
            model_id=state.model.id,
            most_output=state.model.limits.output,
            cache_marks=target.upstream.cache_marks,
            thoughtless=target in self._thoughtless,
        )
        if target.format is Format.MESSAGES:
            body = beta_flags.without_members(forwarded.body, target.upstream)
            if body is not forwarded.body:
                forwarded = msgspec.structs.replace(forwarded, body=body)
        unknown = self._flags(target).unknown
        if not unknown:
            return forwarded
        return msgspec.structs.replace(
            forwarded,
            dropped=(*forwarded.dropped, *(f"{beta_flags.HEADER}.{flag}" for flag in unknown)),
        )

    def _adapted(self, target: UpstreamTarget, written: ForwardedRequest) -> ForwardedRequest:
        names = parts_in(written.body, self._refused.of(target.circuit))
        if not names:
            return written
        dropped = (*written.dropped, *sorted(names - RENAMED))
        return msgspec.structs.replace(written, body=adapted(written.body, names), dropped=dropped)

    def _flags(self, target: UpstreamTarget) -> SortedFlags:
        """Return the client's flags of previews. An upstream of another format knows none."""
        incoming = self._state.incoming
        flags = sorted_flags(target.upstream, incoming.passed_on.get(beta_flags.HEADER, ""))
        if target.format is incoming.format is Format.MESSAGES:
            return flags
        return SortedFlags((), (*flags.known, *flags.unknown))
