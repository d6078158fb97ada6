"""The kind of an upstream's error, by its code and text. Its status alone misleads.

Vendors answer 400 for an account without money, and 429 for a quota that is used up for good. The patterns are their
own texts. A code is searched only among the names of an error: its message may quote the client's names.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from opencode_cloud.gateway.models import Failure

if TYPE_CHECKING:
    from opencode_cloud.gateway.formats import UpstreamFault

_INVALID = frozenset({400, 413, 415, 422})
_BUSY = frozenset({408, 429, 503, 529})
_CREDENTIAL = frozenset({401, 403})
_CLIENT_ERRORS = range(400, 500)

# Compiled at the first use: a process may see no error for days.
_CONTEXT = (
    r"context_length_exceeded|context_window_exceeded|context (?:length|window|limit|size)"
    r"|(?:prompt|input|messages?)(?: is| are)? too long|input token count|too many input tokens"
    r"|reduce the length of (?:the|your) (?:messages|prompt|input)"
)
_UNPAID_CODES = (
    r"insufficient_(?:quota|funds|balance|credits?)|billing|account_deactivated|access_terminated|payment_required"
    r"|exceeded_current_quota|arrearage|account_?overdue"
)
_UNPAID = (
    r"credit balance|insufficient (?:account )?(?:funds|balance|credits?|quota)|out of credits?|requires more credits"
    r"|payment required|credits? (?:are|is|have been|has been) (?:depleted|exhausted|used up)|all available credits"
    r"|(?:purchase|buy) (?:more )?credits|(?:have|has) (?:no|any) credits|n't have any credits|please recharge"
    r"|extra usage is required|\u4f59\u989d\u4e0d\u8db3|\u6b20\u8d39"
)
"""Texts of an account without money, whatever the status."""
_UNUSABLE = (
    r"exceeded your current quota|plans? (?:and|&) billing|billing (?:details|hard limit|is not|not active)"
    r"|(?:account|organization|project)[^.]{0,40} (?:disabled|suspended|deactivated|not active)|spend(?:ing)? limit"
    r"|(?:account|organization|project)[^.]{0,40} (?:restricted|archived|not authorized|not allowed|must be verified)"
    r"|organization must be verified|reached (?:your|its|the)[^.]{0,40} usage limit|for this subscription"
    r"|use case details|^operation not allowed"
)
"""Texts of an account that must not be used. With 429 the same words can mean a limit that passes."""
_REGION = (
    r"(?:location|country|region|territory)[^.]{0,40} not (?:supported|available|allowed)|from unsupported countries"
    r"|not (?:supported|available|allowed) in your (?:country|region|location)"
)
_REGION_CODES = r"unsupported_country|failed_precondition"
_KEY = (
    r"api key (?:is )?(?:not valid|invalid|expired)|(?:invalid|incorrect|expired) (?:x-)?api.?key"
    r"|security token|this credential is only"
)
_KEY_CODES = (
    r"api_key_invalid|invalid_api_key|authentication_error|unrecognizedclient|unauthenticated|permission_denied"
)
_FLAG = (
    r"invalid beta flag|anthropic[-_]beta|beta (?:header|flag|feature)|unsupported beta"
    r"|extra inputs are not permitted"
)
"""Texts about flags of previews, and about members that come with them."""
_FOREIGN_CODES = r"invalid_encrypted_content|invalid_signature"
_FOREIGN = (
    r"encrypted content[^.]{0,600} could not be (?:verified|decrypted)|invalid `?signature`? in `?thinking`?"
    r"|thinking\.signature: field required|`thinking`[^.]{0,80} blocks[^.]{0,80} cannot be modified"
    r"|(?:corrupted|invalid) thought.?signature|thought.?signature is (?:not valid|invalid)"
    r"|missing a `?thought_signature"
)
"""Texts about thoughts that another account or vendor signed: only the upstream that made them can verify them."""
_MODEL = (
    r"model identifier is invalid|(?:model|deployment)[^.]{0,80} (?:does not exist|not found)|on-demand throughput"
    r"|no endpoints found|(?:model|deployment)[^.]{0,80} (?:decommissioned|retired)"
)
_FLAGGED = r"requires moderation|input (?:was|has been) flagged|content (?:policy|filter|management policy)"
"""Texts of a refusal of the prompt's contents. Routers give it the status of a wrong credential."""
_BUSY_CODES = r"overloaded|throttl|rate_limit|resource_exhausted|too_many_requests|no_capacity"


def failure_of(fault: UpstreamFault) -> Failure:
    """Return the kind of an upstream's error."""
    names, text, status = f"{fault.code} {fault.type} {fault.reason}".lower(), fault.message.lower(), fault.status
    if status == HTTPStatus.PAYMENT_REQUIRED or re.search(_UNPAID_CODES, names) or re.search(_UNPAID, text):
        return Failure.ACCOUNT
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Failure.BUSY
    if status in _INVALID and re.search(_CONTEXT, f"{names} {text}"):
        return Failure.CONTEXT
    if status in _CLIENT_ERRORS:
        return _of_client_error(status, names, text)
    return Failure.BUSY if status in _BUSY or re.search(_BUSY_CODES, names) else Failure.BROKEN


def _of_client_error(status: int, names: str, text: str) -> Failure:
    """Return the kind of an error that the vendor ascribes to its caller. The caller is the gateway."""
    if re.search(_UNUSABLE, text) or re.search(_REGION, text) or re.search(_REGION_CODES, names):
        return Failure.ACCOUNT
    if re.search(_FLAGGED, text):
        return Failure.REFUSED
    if status in _CREDENTIAL or re.search(_KEY, text) or re.search(_KEY_CODES, names):
        return Failure.CREDENTIAL
    if status == HTTPStatus.NOT_FOUND or "model_not_found" in names or re.search(_MODEL, text):
        return Failure.UNKNOWN_MODEL
    if re.search(_FOREIGN, text) or re.search(_FOREIGN_CODES, names):
        return Failure.FOREIGN_THOUGHT
    if re.search(_FLAG, text):
        return Failure.UNKNOWN_FLAG
    if status in _BUSY or re.search(_BUSY_CODES, names):
        return Failure.BUSY
    return Failure.REFUSED if status in _INVALID else Failure.BROKEN
