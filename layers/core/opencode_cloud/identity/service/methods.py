"""The login methods of a deployment. An entry in the settings switches each one on (docs/login.md)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from itertools import chain
from typing import Any

import msgspec

from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.errors import Forbidden, NotFound
from opencode_cloud.kit.mail_addresses import InvalidMailAddress, canonical_domain, domain_of

GOOGLE_ISSUER = "https://accounts.google.com"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


class MethodKind(StrEnum):
    """The way in which a method proves a person's identity."""

    EMAIL = "email"
    """A one-time code, sent to the address."""
    GITHUB = "github"
    """GitHub's own OAuth, which is not OpenID Connect."""
    OIDC = "oidc"
    """Any OpenID Connect issuer: Google, Okta, Entra, Keycloak."""


class Method(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One login method."""

    name: str
    label: str = ""
    """The name on the method's button, after "Continue with"."""
    client_id: str = ""
    client_secret: str = ""
    """Empty for a public client, which proves itself by PKCE alone."""
    issuer: str = ""
    url: str = "https://github.com"
    """The address of GitHub or of an Enterprise Server."""
    api_url: str = "https://api.github.com"
    trust_email: bool = False
    """True if the issuer is the authority over its addresses and does not send ``email_verified`` (Entra)."""
    enabled: bool = True

    @property
    def kind(self) -> MethodKind:
        """Return the way in which the method proves a person's identity."""
        return MethodKind(self.name) if self.name in (MethodKind.EMAIL, MethodKind.GITHUB) else MethodKind.OIDC

    @property
    def shown(self) -> str:
        """Return the display name of the method."""
        return self.label or {"github": "GitHub", "google": "Google", "email": "e-mail"}.get(self.name, self.name)


class InvalidMethods(ValueError):
    """The settings of login methods are invalid. The message names the entry and the reason."""


METHODS_SECONDS = 10
"""Seconds for which settings of login methods are cached. A new provider appears on the sign-in page after that."""
_UNKNOWN_SECONDS = 1  # between reads for unknown methods, so that guessed names cost nothing


class CurrentMethods:
    """The enabled methods of the moment.

    Several processes serve one sign-in, and each has a copy. A request for a method that a copy lacks reads the
    settings again, so that a person who was shown a new method can use it everywhere.
    """

    def __init__(self, read: Callable[[], Methods], now: Callable[[], int] = now_seconds) -> None:
        self._read = read
        self._now = now
        self._methods: Methods | None = None
        self._read_at = 0

    def __call__(self) -> Methods:
        """Return the methods, at most ten seconds old. Raises :class:`InvalidMethods`."""
        return self._not_older_than(METHODS_SECONDS)

    def provider(self, name: str) -> Method:
        """Do as :meth:`Methods.provider`, with methods that are at most a second old if that one is unknown."""
        try:
            return self().provider(name)
        except NotFound:
            return self._not_older_than(_UNKNOWN_SECONDS).provider(name)

    def _not_older_than(self, seconds: int) -> Methods:
        now = self._now()
        if self._methods is None or now - self._read_at >= seconds:
            self._methods, self._read_at = self._read(), now
        return self._methods


class Methods:
    """The enabled methods, and the domains that may sign in."""

    def __init__(self, methods: Mapping[str, Method], domains: frozenset[str] = frozenset()) -> None:
        self._methods = methods
        self._domains = domains

    @classmethod
    def parse(cls, settings: str, secrets: str) -> Methods:
        """Read the stage's settings, merged with the secret method by method; the secret takes precedence.

        Both are JSON objects of methods by name. ``domains`` in either lists the only domains whose addresses may sign
        in. Raises :class:`InvalidMethods`.
        """
        try:
            base, over = (msgspec.json.decode(text or "{}", type=dict[str, Any]) for text in (settings, secrets))
            domains = [msgspec.convert(document.pop("domains", []), list[str]) for document in (base, over)]
            methods = {name: _method(name, {**base.get(name, {}), **over.get(name, {})}) for name in [*base, *over]}
        except (msgspec.MsgspecError, TypeError) as error:
            raise InvalidMethods(f"login methods: {error}") from error
        enabled = {name: method for name, method in methods.items() if method.enabled}
        return cls(enabled, frozenset(_domain(domain) for domain in chain(*domains)))

    def shown_methods(self) -> list[Method]:
        """Return the methods to show. E-mail, which needs an input field, comes last."""
        return sorted(
            self._methods.values(), key=lambda method: (method.kind is MethodKind.EMAIL, method.shown.casefold())
        )

    def provider(self, name: str) -> Method:
        """Return the method at ``/login/{name}`` that redirects to a provider. Raises ``unknown_method`` (404)."""
        method = self._methods.get(name)
        if method is None or method.kind is MethodKind.EMAIL:
            raise NotFound("unknown_method", "There is no such way to sign in here.")
        return method

    def require_email(self) -> None:
        """Raise ``unknown_method`` (404) unless sign-in by e-mail code is enabled."""
        if MethodKind.EMAIL not in self._methods:
            raise NotFound("unknown_method", "There is no such way to sign in here.")

    def check_domain(self, address: str) -> None:
        """Raise ``domain_not_allowed`` (403) unless canonical addresses of this domain may sign in."""
        if self._domains and domain_of(address) not in self._domains:
            raise Forbidden("domain_not_allowed", "Addresses of this domain cannot sign in here.")


def _domain(domain: str) -> str:
    try:
        return canonical_domain(domain.lstrip("@"))
    except InvalidMailAddress as error:
        raise InvalidMethods(f"login methods: {domain!r} in `domains` is no domain") from error


def _method(name: str, fields: Mapping[str, Any]) -> Method:
    if not _NAME.fullmatch(name):
        raise InvalidMethods(f"login methods: {name!r} is no name: use small letters, digits and hyphens")
    defaults = {"issuer": GOOGLE_ISSUER} if name == "google" else {}
    method = msgspec.convert({**defaults, **fields, "name": name}, Method)
    if method.kind is not MethodKind.EMAIL and not method.client_id:
        raise InvalidMethods(f"login methods: {name} needs client_id")
    if method.kind is MethodKind.OIDC and not method.issuer:
        raise InvalidMethods(f"login methods: {name} needs issuer")
    return method
