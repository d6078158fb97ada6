"""What ``opencode auth login <this host>`` reads, and every start of a client after that.

A client that cannot read it, or finds it invalid, does not start: neither with 404 nor with a page of a proxy, nor when
what it refers to fails. So it is one static object, it is validated before it is published, and it has no
``remote_config``: that would make every start depend on a second address, with a credential that may expire. What a
workspace's clients are configured with comes from ``/api/config``, whose failures the client forgives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.policies.models import InvalidDocument
from opencode_cloud.policies.validation import faults_of

if TYPE_CHECKING:
    from opencode_cloud.policies.store.site import SiteStore

ENVIRONMENT = "OPENCODE_CLOUD_KEY"
"""The variable that the client keeps the key under, and may be given it in."""

SCRIPT = f"""\
if [ -n "${ENVIRONMENT}" ]; then printf %s "${ENVIRONMENT}"; exit 0; fi
if ! (: </dev/tty) 2>/dev/null; then
  echo "There is no terminal to ask on: set {ENVIRONMENT} to a key of your workspace, and log in again." >&2
  exit 1
fi
printf "A key of your workspace (oc_sk_...): " >/dev/tty
trap "stty echo </dev/tty 2>/dev/null" EXIT
stty -echo </dev/tty 2>/dev/null
IFS= read -r key </dev/tty
echo >/dev/tty
if [ -z "$key" ]; then echo "No key was given." >&2; exit 1; fi
printf %s "$key"
"""
"""Runs on the user's machine, with nothing but a shell; what it prints is the key."""


class WellKnown:
    """Publishes the document."""

    def __init__(self, store: SiteStore, public_url: str) -> None:
        self._store = store
        self._public_url = public_url

    def present(self) -> dict[str, Any] | None:
        """Return the document as it is published."""
        found = self._store.read()
        return msgspec.json.decode(found[0]) if found else None

    def publish(self, config: dict[str, Any]) -> None:
        """Publish ``config`` as what clients begin with, below everything that their users configure.

        Raises :class:`InvalidDocument` (422): none of these clients would start.
        """
        if faults := faults_of(config):
            raise InvalidDocument(faults)
        self._store.write(_encoded(document(config)), by_operator=True)

    def publish_default(self) -> None:
        """Go back to the document that a deployment begins with."""
        self._store.write(_encoded(self._default()), by_operator=False)

    def ensure(self) -> None:
        """Publish the default, unless an operator has published something; for every deployment."""
        found = self._store.read()
        wanted = _encoded(self._default())
        if found is None or (not found[1] and found[0] != wanted):
            self._store.write(wanted, by_operator=False)

    def _default(self) -> dict[str, Any]:
        return document({"enterprise": {"url": self._public_url}} if self._public_url else {})


def document(config: dict[str, Any]) -> dict[str, Any]:
    """Return the document with ``config`` in it."""
    return {"auth": {"command": ["sh", "-c", SCRIPT], "env": ENVIRONMENT}, "config": config}


def _encoded(value: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2)
