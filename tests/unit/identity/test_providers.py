"""Sign-in at a provider ends only with the nonce and the PKCE verifier of the browser that began it."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import oidc_provider_mock
import pytest

from opencode_cloud.identity.providers import Providers
from opencode_cloud.identity.service.methods import Method
from opencode_cloud.kit.errors import Forbidden
from tests.integration.github_sign_in import GitHubSignIn, github_sign_in
from tests.waiting import PATIENCE

pytestmark = pytest.mark.filterwarnings("ignore:get_jwt_config")  # in the provider's own code

BACK = "http://127.0.0.1:9/back"
NONCE, VERIFIER = "n" * 43, "v" * 43
OTHER_NONCE, OTHER_VERIFIER = "m" * 43, "w" * 43


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """Run an OpenID provider that has verified the address of Ada, and not that of Bob."""
    with oidc_provider_mock.run_server_in_thread() as server:
        address = f"http://localhost:{server.server_port}"
        for name, verified in (("ada", True), ("bob", False)):
            claims = {"email": f"{name}@example.com", "email_verified": verified}
            assert httpx.put(f"{address}/users/{name}", json=claims, timeout=PATIENCE).status_code == 204
        yield address


@pytest.fixture(scope="module")
def github() -> Iterator[GitHubSignIn]:
    with github_sign_in() as made:
        made.emails = [{"email": "mona@example.com", "primary": True, "verified": True}]
        yield made


def code_from(answer: httpx.Response) -> str:
    return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]


def test_an_id_token_that_names_another_nonce_signs_nobody_in(issuer: str) -> None:
    method, providers = Method(name="acme", issuer=issuer, client_id="cloud", client_secret="s"), Providers()

    def finished(nonce: str) -> str:
        address = providers.begin(method, BACK, "state", NONCE, VERIFIER)
        code = code_from(httpx.post(address, data={"sub": "ada"}, timeout=PATIENCE))
        return providers.finish(method, BACK, code, nonce, VERIFIER).email

    assert finished(NONCE) == "ada@example.com"
    for wrong in (OTHER_NONCE, ""):
        with pytest.raises(Forbidden) as refused:
            finished(wrong)
        assert refused.value.code == "provider_refused"


@pytest.mark.parametrize("trusted", [True, False])
def test_an_address_counts_as_verified_where_the_operator_trusts_its_provider(issuer: str, trusted: bool) -> None:
    method = Method(name="acme", issuer=issuer, client_id="cloud", client_secret="s", trust_email=trusted)
    providers = Providers()
    address = providers.begin(method, BACK, "state", NONCE, VERIFIER)
    code = code_from(httpx.post(address, data={"sub": "bob"}, timeout=PATIENCE))
    if trusted:
        assert providers.finish(method, BACK, code, NONCE, VERIFIER).email == "bob@example.com"
        return
    with pytest.raises(Forbidden) as refused:
        providers.finish(method, BACK, code, NONCE, VERIFIER)
    assert refused.value.code == "address_not_verified"


def test_a_code_is_exchanged_with_the_verifier_of_its_request_only(github: GitHubSignIn) -> None:
    method, providers = msgspec.convert({"name": "github", **github.settings()}, Method), Providers()

    def finished(verifier: str) -> str:
        address = providers.begin(method, BACK, "state", NONCE, VERIFIER)
        code = code_from(httpx.get(address, timeout=PATIENCE))
        return providers.finish(method, BACK, code, NONCE, verifier).email

    assert finished(VERIFIER) == "mona@example.com"
    with pytest.raises(Forbidden) as refused:
        finished(OTHER_VERIFIER)
    assert refused.value.code == "provider_refused"
