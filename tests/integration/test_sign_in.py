"""Signing in to the deployed stage by every method: real mails, a real OIDC provider, a stand-in for GitHub."""

import json
import re
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import oidc_provider_mock
import pytest

from local.stack import LocalStack
from opencode_cloud.kit.mail_addresses import canonical_domain
from opencode_cloud.kit.sql import Database
from opencode_cloud.schema.identity import accounts, logins
from tests.browsing import Browser, Page
from tests.codes import code_of
from tests.integration.github_sign_in import GitHubSignIn, github_sign_in
from tests.waiting import PATIENCE, in_one_window, until


class Providers:
    """The providers of the stage, and their answers about people."""

    def __init__(self, github: GitHubSignIn, issuer: str) -> None:
        self.github = github
        self.issuer = issuer

    def say(self, subject: str, **claims: Any) -> None:
        assert httpx.put(f"{self.issuer}/users/{subject}", json=claims, timeout=PATIENCE).status_code == 204


@pytest.fixture(scope="module")
def providers(stack: LocalStack) -> Iterator[Providers]:
    """Configure the stage as an operator does: by its secret of login methods."""
    vault, arn = stack.client("secretsmanager"), stack.outputs["LoginSecretsArn"]
    before = vault.get_secret_value(SecretId=arn)["SecretString"]
    with github_sign_in() as github, oidc_provider_mock.run_server_in_thread() as server:
        issuer = f"http://localhost:{server.server_port}"
        okta = {"issuer": issuer, "client_id": "cloud", "client_secret": "s", "label": "Acme ID"}
        vault.put_secret_value(SecretId=arn, SecretString=json.dumps({"github": github.settings(), "acme": okta}))
        wait_for_methods(stack, "Acme ID", "GitHub", "Send me a code")
        yield Providers(github, issuer)
        vault.put_secret_value(SecretId=arn, SecretString=before)


def wait_for_methods(stack: LocalStack, *words: str) -> None:
    """Each environment of the stage reads the settings again every ten seconds."""

    def known() -> bool:
        return all(word in httpx.get(f"{stack.url}/login", timeout=PATIENCE).text for word in words)

    until(lambda: all(known() for _ in range(5)))


@pytest.fixture
def browser(stack: LocalStack) -> Browser:
    return Browser(stack.url, f"127.0.{secrets.randbelow(250) + 1}.{secrets.randbelow(250) + 1}")


def somebody() -> str:
    return f"{secrets.token_hex(6)}@example.com"


def sign_in_by_mail(stack: LocalStack, browser: Browser, email: str, path: str = "/") -> Page:
    page = browser.open(f"/login?continue={path}")
    page = browser.submit(page, "/login/email", email=email)
    return browser.submit(page, "/login/code", code=code_of(stack, page.path))


def rows(stack: LocalStack, email: str) -> tuple[int, int]:
    """Return the numbers of accounts and logins of an address."""
    with Database(stack.database.access.url()).transaction() as connection:
        found = connection.execute(accounts.select().where(accounts.c.email == email)).all()
        ways = connection.execute(logins.select().where(logins.c.account_id.in_([row.id for row in found]))).all()
    return len(found), len(ways)


def at_the_provider(browser: Browser, page: Page, subject: str) -> Page:
    """Sign in on the provider's own page and return."""
    answer = httpx.post(str(page.answer.url), data={"sub": subject}, timeout=PATIENCE)
    return browser.open(answer.headers["location"])


# ------------------------------------------------------------------------------------------------ e-mail


def test_the_code_comes_by_mail(stack: LocalStack, browser: Browser) -> None:
    email = somebody()
    page = browser.submit(browser.open("/login"), "/login/email", email=email)
    found = re.search(r"\b(\d{4})\s?(\d{4})\b", stack.mailbox.wait(email).text)
    assert found
    assert browser.submit(page, "/login/code", code=found[0]).path == "/"


def test_a_new_person_signs_in_by_a_code_and_has_a_workspace(stack: LocalStack, browser: Browser) -> None:
    email = somebody()
    page = sign_in_by_mail(stack, browser, email)
    assert page.path == "/"
    assert email in page.text
    assert "Personal" in page.text
    orgs = browser.http.get("/api/orgs").json()
    assert [each["name"] for each in orgs] == ["Personal"]
    assert browser.http.get("/api/user").json()["email"] == email


def test_the_same_address_in_other_letters_is_the_same_person(stack: LocalStack, browser: Browser) -> None:
    email = somebody()
    sign_in_by_mail(stack, browser, email)
    first = browser.http.get("/api/user").json()["id"]
    other = Browser(stack.url, "127.0.77.2")
    sign_in_by_mail(stack, other, email.upper())
    assert other.http.get("/api/user").json()["id"] == first
    assert rows(stack, email) == (1, 1)


def test_browsers_of_one_new_person_that_sign_in_at_once_make_one_account(stack: LocalStack) -> None:
    email = somebody()
    browsers = [Browser(stack.url, f"127.0.78.{number}") for number in range(1, 5)]
    pages = [browser.submit(browser.open("/login"), "/login/email", email=email) for browser in browsers]
    codes = [code_of(stack, page.path) for page in pages]
    with ThreadPoolExecutor(4) as pool:
        ends = list(
            pool.map(lambda each, page, code: each.submit(page, "/login/code", code=code), browsers, pages, codes)
        )
    assert [end.path for end in ends] == ["/"] * 4
    assert rows(stack, email) == (1, 1)
    assert [each["name"] for each in browsers[0].http.get("/api/orgs").json()] == ["Personal"]


def test_an_address_that_differs_by_an_accent_is_not_linked(stack: LocalStack, browser: Browser) -> None:
    name = secrets.token_hex(6)
    sign_in_by_mail(stack, browser, f"jose{name}@example.com")
    thief = Browser(stack.url, "127.0.77.3")
    refused = thief.submit(thief.open("/login"), "/login/email", email=f"josé{name}@example.com")
    assert refused.status == 422
    assert "unaccented letters" in refused.text


def test_a_domain_that_differs_by_an_accent_is_another_person_and_is_mailed(
    stack: LocalStack, browser: Browser
) -> None:
    name = secrets.token_hex(6)
    sign_in_by_mail(stack, browser, f"ada@bucher{name}.example")
    first = browser.http.get("/api/user").json()["id"]
    other = Browser(stack.url, "127.0.77.3")
    page = other.submit(other.open("/login"), "/login/email", email=f"ada@bücher{name}.example")
    recipient = f"ada@{canonical_domain(f'bücher{name}.example')}"
    found = re.search(r"\b(\d{4})\s?(\d{4})\b", stack.mailbox.wait(recipient).text)
    assert found
    full_width = found[0].translate({ord("0") + digit: 0xFF10 + digit for digit in range(10)})
    assert other.submit(page, "/login/code", code=full_width).path == "/"
    assert other.http.get("/api/user").json()["id"] != first


def test_a_wrong_code_may_be_corrected_four_times_and_then_even_the_right_one_is_refused(
    stack: LocalStack, browser: Browser
) -> None:
    email = somebody()
    page = browser.submit(browser.open("/login"), "/login/email", email=email)
    right = code_of(stack, page.path)
    wrong = "00000000" if right != "00000000" else "11111111"
    for _ in range(4):
        page = browser.submit(page, "/login/code", code=wrong)
        assert (page.status, "not the code" in page.text) == (403, True)
    browser.submit(page, "/login/code", code=wrong)
    page = browser.submit(page, "/login/code", code=right)
    assert page.status == 403
    assert "no longer valid" in page.text


def test_a_code_is_good_once_and_only_in_the_browser_that_asked(stack: LocalStack, browser: Browser) -> None:
    email = somebody()
    page = browser.submit(browser.open("/login"), "/login/email", email=email)
    code = code_of(stack, page.path)
    other = Browser(stack.url, "127.0.77.4")
    other.open("/login")
    assert other.open(page.path).status == 403
    assert browser.submit(page, "/login/code", code=f" {code[:4]} {code[4:]} ").path == "/"
    again = Browser(stack.url, "127.0.77.4")
    again.http.cookies = browser.http.cookies
    assert again.submit(page, "/login/code", code=code).status == 403


@pytest.mark.parametrize(
    "email", ["", "nobody", "a@b", "two@example.com,three@example.com", "x@example.com\nBcc: y@z.org"]
)
def test_what_is_no_address_gets_no_mail(stack: LocalStack, browser: Browser, email: str) -> None:
    page = browser.submit(browser.open("/login"), "/login/email", email=email)
    assert page.status == 422
    assert page.path == "/login/email"


def test_mails_to_one_address_are_limited(stack: LocalStack, browser: Browser) -> None:
    def six() -> list[int]:
        email = somebody()
        return [browser.submit(browser.open("/login"), "/login/email", email=email).status for _ in range(6)]

    assert in_one_window(six, 3600) == [200] * 5 + [429]


# ---------------------------------------------------------------------------------------- OpenID Connect


def test_a_person_signs_in_at_an_oidc_provider(stack: LocalStack, browser: Browser, providers: Providers) -> None:
    email, subject = somebody(), secrets.token_hex(4)
    providers.say(subject, email=email, email_verified=True, name="Ada")
    page = at_the_provider(browser, browser.open("/login/acme?continue=/account"), subject)
    assert page.path == "/account"
    assert email in page.text


def test_an_address_that_the_provider_has_not_verified_is_refused(browser: Browser, providers: Providers) -> None:
    for claims in ({}, {"email_verified": False}, {"email_verified": "true"}):
        subject = secrets.token_hex(4)
        providers.say(subject, email=somebody(), **claims)
        page = at_the_provider(browser, browser.open("/login/acme"), subject)
        assert page.status == 403
        assert "no verified address" in page.text


def test_a_verified_address_leads_to_the_account_that_has_it(
    stack: LocalStack, browser: Browser, providers: Providers
) -> None:
    email, subject = somebody(), secrets.token_hex(4)
    sign_in_by_mail(stack, browser, email)
    first = browser.http.get("/api/user").json()["id"]
    providers.say(subject, email=email.upper(), email_verified=True)
    other = Browser(stack.url, "127.0.77.5")
    at_the_provider(other, other.open("/login/acme"), subject)
    assert other.http.get("/api/user").json()["id"] == first
    assert rows(stack, email) == (1, 2)

    providers.say(subject, email=somebody(), email_verified=True)  # the person has another address at the provider now
    third = Browser(stack.url, "127.0.77.6")
    at_the_provider(third, third.open("/login/acme"), subject)
    assert third.http.get("/api/user").json()["id"] == first


def test_who_declines_at_the_provider_is_told_so(browser: Browser, providers: Providers) -> None:
    page = browser.open("/login/acme")
    answer = httpx.post(str(page.answer.url), data={"action": "deny"}, timeout=PATIENCE)
    back = browser.open(answer.headers["location"])
    assert back.status == 403
    assert "did not sign you in" in back.text


def test_a_sign_in_that_began_in_another_browser_is_refused(
    stack: LocalStack, browser: Browser, providers: Providers
) -> None:
    """State fixation: an attacker gives the victim the last URL of a sign-in to the attacker's account."""
    subject = secrets.token_hex(4)
    providers.say(subject, email=somebody(), email_verified=True)
    thief = Browser(stack.url, "127.0.77.7")
    begun = thief.open("/login/acme")
    end = httpx.post(str(begun.answer.url), data={"sub": subject}, timeout=PATIENCE).headers["location"]
    browser.open("/login")
    page = browser.open(end)
    assert page.status == 403
    assert "not begun in this browser" in page.text
    assert browser.http.get("/api/user").status_code == 401


def test_a_state_is_good_once_and_for_its_provider_only(browser: Browser, providers: Providers) -> None:
    subject = secrets.token_hex(4)
    providers.say(subject, email=somebody(), email_verified=True)
    begun = browser.open("/login/acme")
    end = httpx.post(str(begun.answer.url), data={"sub": subject}, timeout=PATIENCE).headers["location"]
    crossed = end.replace("/auth/callback/acme", "/auth/callback/github")
    assert browser.open(crossed).status == 403
    assert browser.open(end).status == 403


@pytest.mark.parametrize("query", ["", "?code=x", "?state=x", "?code=x&state=x"])
def test_a_callback_out_of_nowhere_is_refused(browser: Browser, providers: Providers, query: str) -> None:
    assert browser.open(f"/auth/callback/acme{query}").status == 403


def test_only_known_providers_have_addresses(browser: Browser, providers: Providers) -> None:
    for name in ("email", "unknown", "..%2f", "Acme"):
        assert browser.go(f"/login/{name}").status_code == 404
        assert browser.go(f"/auth/callback/{name}").status_code == 404


# ------------------------------------------------------------------------------------------------ GitHub


def test_a_person_signs_in_with_github(browser: Browser, providers: Providers) -> None:
    email = somebody()
    providers.github.user = {"id": secrets.randbelow(10**9), "login": "mona", "name": None}
    providers.github.emails = [
        {"email": somebody(), "primary": False, "verified": True},
        {"email": email, "primary": True, "verified": True},
    ]
    sent = browser.go("/login/github?continue=/account")
    asked = parse_qs(urlsplit(sent.headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    page = browser.open(httpx.get(sent.headers["location"], timeout=PATIENCE).headers["location"])
    assert page.path == "/account"
    assert email in page.text


@pytest.mark.parametrize("entry", [{"primary": True, "verified": False}, {"primary": False, "verified": True}])
def test_github_must_have_verified_the_primary_address(
    browser: Browser, providers: Providers, entry: dict[str, bool]
) -> None:
    providers.github.user = {"id": secrets.randbelow(10**9), "login": "mona"}
    providers.github.emails = [{"email": somebody(), **entry}]
    sent = browser.go("/login/github")
    page = browser.open(httpx.get(sent.headers["location"], timeout=PATIENCE).headers["location"])
    assert page.status == 403
    assert "no verified address" in page.text


# ---------------------------------------------------------------------------------------- pages and forms


@pytest.mark.parametrize("target", ["//evil.example", "/\\evil.example", "https://evil.example", "/%09/evil.example"])
def test_nobody_is_sent_elsewhere_after_signing_in(stack: LocalStack, browser: Browser, target: str) -> None:
    sign_in_by_mail(stack, browser, somebody())
    answer = browser.http.get("/login", params={"continue": target})
    assert answer.status_code == 303
    assert answer.headers["location"] in ("/", "/%09/evil.example")


def test_the_session_cookie_is_kept_from_scripts_and_new_at_every_sign_in(stack: LocalStack, browser: Browser) -> None:
    email = somebody()
    browser.http.cookies.set("opencode_session", "fixed", domain="127.0.0.1", path="/")
    page = browser.submit(browser.open("/login"), "/login/email", email=email)
    form = page.forms["/login/code"].fields | {"code": code_of(stack, page.path)}
    answer = browser.http.post("/login/code", data=form, headers={"Sec-Fetch-Site": "same-origin"})
    lines = answer.headers.get_list("set-cookie")
    (line,) = [each for each in lines if each.startswith("opencode_session=")]
    assert "fixed" not in line
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(line.split("; "))


def test_forms_need_their_token_and_our_own_origin(stack: LocalStack, browser: Browser) -> None:
    sign_in_by_mail(stack, browser, somebody())
    page = browser.open("/account")
    assert browser.submit(page, "/logout", token="wrong").status == 403
    assert browser.submit(page, "/logout", token=page.forms["/account/sessions/end"].fields["token"]).status == 403
    assert browser.submit(page, "/logout", site="cross-site").status == 403
    assert browser.open("/account").status == 200
    assert browser.submit(page, "/logout").path == "/"
    assert browser.open("/account").path.startswith("/login?continue=")


def test_pages_forbid_foreign_scripts_and_frames(browser: Browser) -> None:
    for path in ("/", "/login", "/login/unknown"):
        headers = browser.go(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["cache-control"] == "private, no-store"


@pytest.mark.parametrize("path", ["/", "/login"])
def test_tools_that_judge_public_pages_may_read_the_rules_for_robots(browser: Browser, path: str) -> None:
    """Lighthouse fetches /robots.txt as a script of the page. 404 means that there are no rules (RFC 9309, 2.3.1.3)."""
    assert "connect-src 'self';" in browser.go(path).headers["content-security-policy"]
    assert browser.go("/robots.txt").status_code == 404


# --------------------------------------------------------------------------------------------- sessions


def test_sessions_are_listed_and_ended_one_by_one_and_all_at_once(stack: LocalStack, browser: Browser) -> None:
    email = somebody()
    sign_in_by_mail(stack, browser, email)
    other = Browser(stack.url, "127.0.77.8")
    sign_in_by_mail(stack, other, email)
    page = browser.open("/account")
    assert "127.0.77.8" in page.text
    (end,) = [action for action in page.forms if re.fullmatch(r"/account/sessions/sid_\w+/end", action)]
    assert "127.0.77.8" not in browser.submit(page, end).text
    assert other.http.get("/api/user").status_code == 401
    assert browser.http.get("/api/user").status_code == 200

    sign_in_by_mail(stack, other, email)
    page = browser.submit(browser.open("/account"), "/account/sessions/end")
    assert page.path == "/login"
    for each in (browser, other):
        assert each.http.get("/api/user").status_code == 401


def test_nobody_ends_a_strangers_session(stack: LocalStack, browser: Browser) -> None:
    sign_in_by_mail(stack, browser, somebody())
    stranger = Browser(stack.url, "127.0.77.9")
    sign_in_by_mail(stack, stranger, somebody())
    browser_page = browser.open("/account")
    stolen = "/account/sessions/sid_" + "0" * 48 + "/end"
    form = browser_page.forms["/account/sessions/end"].fields
    answer = browser.http.post(stolen, data=form, headers={"Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == 404
    assert stranger.http.get("/api/user").status_code == 200


# ---------------------------------------------------------------------------------------------- devices


def test_a_person_lets_a_device_in_after_signing_in(stack: LocalStack, browser: Browser) -> None:
    device = httpx.Client(base_url=stack.url, headers={"User-Agent": "opencode/1.18.33"}, timeout=PATIENCE)
    begun = device.post("/auth/device/code", json={"client_id": "opencode-cli"}).json()
    page = browser.open(begun["verification_uri_complete"])
    assert page.path.startswith("/login?continue=%2Fdevice")
    email = somebody()
    page = browser.submit(page, "/login/email", email=email)
    page = browser.submit(page, "/login/code", code=code_of(stack, page.path))
    assert page.path == f"/device?user_code={begun['user_code']}"
    for shown in (begun["user_code"], "opencode 1.18.33", "127.0.0.1", "not this browser", email):
        assert shown in page.text
    assert "Device approved" in browser.submit(page, "/device", decision="approve").text
    asked = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "client_id": "opencode-cli"}
    got = device.post("/auth/device/token", json={**asked, "device_code": begun["device_code"]}).json()
    assert got["token_type"] == "Bearer"
    bearer = {"Authorization": f"Bearer {got['access_token']}"}
    assert device.get("/api/user", headers=bearer).json()["email"] == email
    assert "opencode on a device" in browser.open("/account").text


def test_a_device_is_denied(stack: LocalStack, browser: Browser) -> None:
    begun = httpx.post(f"{stack.url}/auth/device/code", json={"client_id": "opencode-cli"}, timeout=PATIENCE).json()
    page = sign_in_by_mail(stack, browser, somebody(), f"/device%3Fuser_code={begun['user_code']}")
    assert "was not given access" in browser.submit(page, "/device", decision="deny").text
    asked = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "client_id": "opencode-cli"}
    denied = httpx.post(
        f"{stack.url}/auth/device/token", json={**asked, "device_code": begun["device_code"]}, timeout=PATIENCE
    )
    assert denied.json()["error"] == "access_denied"


def test_a_page_elsewhere_cannot_approve_a_device(stack: LocalStack, browser: Browser) -> None:
    begun = httpx.post(f"{stack.url}/auth/device/code", json={"client_id": "opencode-cli"}, timeout=PATIENCE).json()
    page = sign_in_by_mail(stack, browser, somebody(), f"/device%3Fuser_code={begun['user_code']}")
    assert browser.submit(page, "/device", site="cross-site", decision="approve").status == 403
    assert browser.submit(page, "/device", token="", decision="approve").status == 403


def test_guessing_codes_of_devices_is_stopped(stack: LocalStack, browser: Browser) -> None:
    def guess() -> list[int]:
        sign_in_by_mail(stack, browser, somebody())
        return [browser.open(f"/device?user_code=BCDF-GH{a}{b}").status for a in "JKLMN" for b in "BCDFG"]

    assert in_one_window(guess, 600) == [404] * 20 + [429] * 5


# -------------------------------------------------------------------------------- authorization requests


def authorization(**changes: str) -> str:
    asked = {
        "response_type": "code",
        "client_id": "opencode-web",
        "redirect_uri": "http://127.0.0.1:9/callback",
        "state": "s",
        "code_challenge": "c" * 43,
        "code_challenge_method": "S256",
    }
    return str(httpx.URL("/auth/authorize", params={**asked, **changes}))


def test_a_client_gets_a_code_when_the_person_continues(stack: LocalStack, browser: Browser) -> None:
    page = browser.open(authorization())
    assert page.path.startswith("/login?continue=%2Fauth%2Fauthorize")
    email = somebody()
    page = browser.submit(page, "/login/email", email=email)
    page = browser.submit(page, "/login/code", code=code_of(stack, page.path))
    assert "127.0.0.1:9" in page.text
    assert "form-action 'self' http://127.0.0.1:9;" in page.answer.headers["content-security-policy"]
    fields = page.forms["/auth/authorize"].fields
    for decision, expected in (("approve", "code"), ("deny", "error")):
        answer = browser.http.post(
            "/auth/authorize", data={**fields, "decision": decision}, headers={"Sec-Fetch-Site": "same-origin"}
        )
        assert answer.status_code == 303
        query = parse_qs(urlsplit(answer.headers["location"]).query)
        assert expected in query
        assert query["state"] == ["s"]


def test_a_redirect_that_is_not_registered_is_told_to_the_person_and_not_followed(browser: Browser) -> None:
    page = browser.open(authorization(redirect_uri="https://evil.example/callback"))
    assert page.status == 400
    assert "location" not in page.answer.headers
