"""Whether a newer release exists than the one that runs. Nothing is asked unless a stage names an address."""

from __future__ import annotations

import re
from http import HTTPStatus

import msgspec

from opencode_cloud.kit import log
from opencode_cloud.kit.outbound_http import OutboundConnections, failures
from opencode_cloud.kit.release import VERSION

LONGEST_ANSWER = 256 * 1024
HEADERS = {"accept": "application/json"}
_TAG = re.compile(r"(?<![0-9.])v?([0-9]{1,9})\.([0-9]{1,9})\.([0-9]{1,9})")


class _Release(msgspec.Struct):
    """The part of GitHub's answer to "Get the latest release" that counts."""

    tag_name: str


class NewerRelease:
    """Asks an address for the latest release, in the form of GitHub's API."""

    def __init__(self, url: str, connections: OutboundConnections) -> None:
        self._url = url
        self._connections = connections

    def look(self) -> int:
        """Return 1 and count ``NewerRelease`` if there is a newer release, else 0. A failure is logged only."""
        tag = self.latest()
        if not tag or not is_newer(tag):
            return 0
        log.count("NewerRelease")
        log.logger.warning("a newer release exists", extra={"release": tag, "running": VERSION})
        return 1

    def latest(self) -> str:
        """Return the tag of the latest release; empty if no address is set, or if the answer failed."""
        if not self._url:
            return ""
        try:
            status, body = self._connections.request("GET", self._url, HEADERS, longest=LONGEST_ANSWER)
            return msgspec.json.decode(body, type=_Release).tag_name if status == HTTPStatus.OK else ""
        except (*failures(), msgspec.DecodeError) as error:
            log.logger.warning("the latest release is unknown", extra={"reason": type(error).__name__})
            return ""


def is_newer(tag: str) -> bool:
    """Tell whether a tag names a later release than the one that runs."""
    return _number(tag) > _number(VERSION)


def _number(tag: str) -> tuple[int, ...]:
    """Return a version as numbers. A tag of another form counts as older than every version."""
    match = _TAG.fullmatch(tag)
    return tuple(map(int, match.groups())) if match else ()
