"""The ways to sign in that a deployment offers, each switched on by its entry in the settings (docs/login.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from itertools import chain
from typing import Any

import msgspec

from opencode_cloud.kit.errors import Forbidden, NotFound

GOOGLE_ISSUER = "https://accounts.google.com"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


class Kind(StrEnum):
    """How a method proves who somebody is."""

    EMAIL = "email"
    """A one-time code, sent to the address."""
    GITHUB = "github"
    """GitHub's own OAuth, which is not OpenID Connect."""
    OIDC = "oidc"
    """Any OpenID Connect issuer: Google, Okta, Entra, Keycloak."""


class Method(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way to sign in."""

    name: str
    label: str = ""
    """What its button says after "Continue with"."""
    client_id: str = ""
    client_secret: str = ""
    """Empty for a public client, which proves itself by PKCE alone."""
    issuer: str = ""
    url: str = "https://github.com"
    """GitHub's, or an Enterprise Server's."""
    api_url: str = "https://api.github.com"
    trust_email: bool = False
    """The issuer is the authority over its addresses and does not say ``email_verified`` (Entra)."""
    enabled: bool = True

    @property
    def kind(self) -> Kind:
        """How the method proves who somebody is."""
        return Kind(self.name) if self.name in (Kind.EMAIL, Kind.GITHUB) else Kind.OIDC

    @property
    def shown(self) -> str:
        """What people call the method."""
        return self.label or {"github": "GitHub", "google": "Google", "email": "e-mail"}.get(self.name, self.name)


class InvalidMethods(ValueError):
    """The settings of login methods cannot be used; the message says which and why."""


class Methods:
    """The methods that are on, and the domains that may sign in."""

    def __init__(self, methods: Mapping[str, Method], domains: frozenset[str] = frozenset()) -> None:
        self._methods = methods
        self._domains = domains

    @classmethod
    def parse(cls, settings: str, secrets: str) -> Methods:
        """Read the stage's settings, and the secret that is laid over them, method by method.

        Both are JSON objects of methods by name; ``domains`` in either lists the only domains whose addresses may sign
        in. Raises :class:`InvalidMethods`.
        """
        try:
            base, over = (msgspec.json.decode(text or "{}", type=dict[str, Any]) for text in (settings, secrets))
            domains = [msgspec.convert(each.pop("domains", []), list[str]) for each in (base, over)]
            found = {name: _method(name, {**base.get(name, {}), **over.get(name, {})}) for name in [*base, *over]}
        except (msgspec.MsgspecError, TypeError) as error:
            raise InvalidMethods(f"login methods: {error}") from error
        on = {name: method for name, method in found.items() if method.enabled}
        return cls(on, frozenset(domain.lower().lstrip("@") for domain in chain(*domains)))

    def offered(self) -> list[Method]:
        """Return the methods to show; e-mail, which takes a field, comes last."""
        return sorted(self._methods.values(), key=lambda each: (each.kind is Kind.EMAIL, each.shown.casefold()))

    def provider(self, name: str) -> Method:
        """Return the method at ``/login/{name}`` that leads elsewhere. Raises ``unknown_method`` (404)."""
        method = self._methods.get(name)
        if method is None or method.kind is Kind.EMAIL:
            raise NotFound("unknown_method", "There is no such way to sign in here.")
        return method

    def require_email(self) -> None:
        """Raise ``unknown_method`` (404) unless people may sign in by a code sent to them."""
        if Kind.EMAIL not in self._methods:
            raise NotFound("unknown_method", "There is no such way to sign in here.")

    def check_domain(self, address: str) -> None:
        """Raise ``domain_not_allowed`` (403) unless addresses of this domain may sign in."""
        _, separator, domain = address.rpartition("@")
        if self._domains and (not separator or domain.lower() not in self._domains):
            raise Forbidden("domain_not_allowed", "Addresses of this domain cannot sign in here.")


def _method(name: str, fields: Mapping[str, Any]) -> Method:
    if not _NAME.fullmatch(name):
        raise InvalidMethods(f"login methods: {name!r} is no name: use small letters, digits and hyphens")
    defaults = {"issuer": GOOGLE_ISSUER} if name == "google" else {}
    method = msgspec.convert({**defaults, **fields, "name": name}, Method)
    if method.kind is not Kind.EMAIL and not method.client_id:
        raise InvalidMethods(f"login methods: {name} needs client_id")
    if method.kind is Kind.OIDC and not method.issuer:
        raise InvalidMethods(f"login methods: {name} needs issuer")
    return method
