"""Settings of login methods: valid and invalid ones, and the merge with the secret."""

import json
from typing import Any

import pytest

from opencode_cloud.identity.service.methods import METHODS_SECONDS, CurrentMethods, InvalidMethods, MethodKind, Methods
from opencode_cloud.kit.errors import Forbidden, NotFound
from opencode_cloud.kit.mail_addresses import canonical_address


def parse(settings: Any, secrets: Any = None) -> Methods:
    return Methods.parse(json.dumps(settings), json.dumps(secrets or {}))


def test_only_configured_methods_are_offered_and_e_mail_comes_last() -> None:
    found = parse({"email": {}, "okta": {"issuer": "https://acme.okta.com", "client_id": "1", "label": "Okta"}})
    assert [(each.shown, each.kind) for each in found.shown_methods()] == [
        ("Okta", MethodKind.OIDC),
        ("e-mail", MethodKind.EMAIL),
    ]
    with pytest.raises(NotFound):
        found.provider("github")
    with pytest.raises(NotFound):
        found.provider("email")
    with pytest.raises(NotFound):
        parse({}).require_email()


def test_the_secret_adds_to_the_stage_method_by_method() -> None:
    found = parse({"github": {"client_id": "1"}}, {"github": {"client_secret": "s"}, "google": {"client_id": "2"}})
    assert found.provider("github").client_secret == "s"
    assert found.provider("google").issuer == "https://accounts.google.com"
    assert parse({"email": {}}, {"email": {"enabled": False}}).shown_methods() == []


@pytest.mark.parametrize(
    "settings",
    [
        {"okta": {"client_id": "1"}},
        {"okta": {"issuer": "https://acme.okta.com"}},
        {"github": {}},
        {"github": {"client_id": "1", "clientsecret": "s"}},
        {"Okta": {"client_id": "1", "issuer": "https://acme.okta.com"}},
        {"../x": {"client_id": "1", "issuer": "https://acme.okta.com"}},
        {"github": "1"},
        {"domains": "example.com"},
        {"domains": ["not a domain"]},
        [],
    ],
)
def test_settings_that_cannot_work_are_refused(settings: Any) -> None:
    with pytest.raises(InvalidMethods, match="login methods"):
        parse(settings)


def test_the_domain_list_compares_whole_domains_without_regard_to_case() -> None:
    found = parse({"email": {}, "domains": ["Example.com", "@other.example"]})
    for allowed in ("ada@example.com", canonical_address("ada@EXAMPLE.com"), "ada@other.example"):
        found.check_domain(allowed)
    for refused in ("ada@evil-example.com", "ada@sub.example.com", "ada@example.com.evil.example", "example.com"):
        with pytest.raises(Forbidden):
            found.check_domain(refused)


class Settings:
    """Settings that change, as seen by a process whose clock the test sets."""

    def __init__(self) -> None:
        self.time = 1_000
        self.reads = 0
        self.methods = parse({})
        self.current = CurrentMethods(self._read, lambda: self.time)

    def _read(self) -> Methods:
        self.reads += 1
        return self.methods


def test_settings_are_read_again_after_ten_seconds() -> None:
    settings = Settings()
    for passed in (0, 1, METHODS_SECONDS - 2, 1):
        settings.time += passed
        settings.current()
    assert settings.reads == 2


def test_a_method_that_is_new_is_known_at_once() -> None:
    settings = Settings()
    settings.current()
    settings.methods = parse({"okta": {"issuer": "https://acme.okta.com", "client_id": "1"}})
    settings.time += 1
    assert settings.current.provider("okta").name == "okta"


def test_guessed_names_read_the_settings_at_most_once_a_second() -> None:
    settings = Settings()
    for passed in (0, 0, 0, 1, 0):
        settings.time += passed
        with pytest.raises(NotFound):
            settings.current.provider("guess")
    assert settings.reads == 2
