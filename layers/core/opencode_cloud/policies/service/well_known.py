"""Publish the document that ``opencode auth login <this host>`` reads, and each later start of that client.

A client does not start if it cannot read the document or finds it invalid. A 404, an error page of a proxy, and a
failure of an address that it refers to have this effect. So it is one static object, is validated before it is
published, and has no ``remote_config``, which would make every start depend on a second address and on a credential
that may expire. Clients get their workspace's configuration from ``/api/config``, whose failures they tolerate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.policies.models import InvalidDocument
from opencode_cloud.policies.validation import faults_of

if TYPE_CHECKING:
    from opencode_cloud.policies.store.well_known import SiteStore

ENVIRONMENT = "OPENCODE_CLOUD_KEY"
"""The variable under which the client stores the key. Users can also set it to provide the key."""

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
"""Runs on the user's machine and needs only a shell. Its output is the key."""


class WellKnown:
    """Publishes the document."""

    def __init__(self, store: SiteStore, public_url: str) -> None:
        self._store = store
        self._public_url = public_url

    def published(self) -> dict[str, Any] | None:
        """Return the published document; None when there is none."""
        stored = self._store.read()
        return msgspec.json.decode(stored[0]) if stored else None

    def publish(self, config: dict[str, Any]) -> None:
        """Publish ``config`` as the clients' default. Everything that users configure overrides it.

        Raises :class:`InvalidDocument` (422), because no client would start with it.
        """
        if faults := faults_of(config, self._public_url):
            raise InvalidDocument(faults)
        self._store.write(_encoded(document(config)), by_operator=True)

    def publish_default(self) -> None:
        """Publish the default document of a deployment."""
        self._store.write(_encoded(self._default()), by_operator=False)

    def ensure(self) -> None:
        """Publish the default, unless an operator has published a document. Every deployment calls this."""
        stored = self._store.read()
        default = _encoded(self._default())
        if stored is None or (not stored[1] and stored[0] != default):
            self._store.write(default, by_operator=False)

    def _default(self) -> dict[str, Any]:
        return document({"enterprise": {"url": self._public_url}} if self._public_url else {})


def document(config: dict[str, Any]) -> dict[str, Any]:
    """Return the document with ``config`` in it."""
    return {"auth": {"command": ["sh", "-c", SCRIPT], "env": ENVIRONMENT}, "config": config}


def _encoded(value: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2)
