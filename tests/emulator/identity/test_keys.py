"""Discovery, the published keys, and their rotation while clients log in and call."""

import threading

import jwt

from tests.emulator.identity.conftest import ISSUER, Cloud


def test_the_discovery_document_names_addresses_that_exist(cloud: Cloud) -> None:
    reply = cloud.get("/.well-known/oauth-authorization-server")
    document = reply.json
    assert document["issuer"] == ISSUER
    assert document["code_challenge_methods_supported"] == ["S256"]
    for name in ("token_endpoint", "device_authorization_endpoint", "revocation_endpoint"):
        assert cloud.post(document[name].removeprefix(ISSUER), {}).status == 400
    assert cloud.get(document["jwks_uri"].removeprefix(ISSUER)).status == 200


def test_both_keys_are_published_and_verify_what_either_has_signed(cloud: Cloud) -> None:
    published = cloud.get("/.well-known/jwks.json").json
    assert [key["kid"] for key in published["keys"]] == [arn.rpartition("/")[2] for arn in cloud.keys]
    token = cloud.log_in(cloud.person())["access_token"]
    key = jwt.PyJWKSet.from_dict(published)[jwt_kid(token)]
    claims = jwt.decode(token, key, algorithms=["RS256"], audience="opencode-cloud")
    assert claims["iss"] == ISSUER


def test_no_call_fails_while_the_signing_key_changes(cloud: Cloud) -> None:
    account, stop = cloud.person(), threading.Event()
    token = cloud.log_in(account)
    failures: list[str] = []
    signers: set[str] = set()

    def use() -> None:
        refresh = cloud.log_in(account)["refresh_token"]
        while not stop.is_set():
            got = cloud.refresh(refresh)
            refresh = got.json.get("refresh_token", "")
            access = got.json.get("access_token", "")
            signers.add(jwt_kid(access))
            for each in (access, token["access_token"]):
                if cloud.get("/api/user", each).status != 200:
                    failures.append(each)

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    keys = cloud.identity.tokens._keys
    for _ in range(5):
        for key in keys.ids:
            keys.activate(key)
            stop.wait(0.1)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert signers == set(keys.ids)


def jwt_kid(token: str) -> str:
    return jwt.get_unverified_header(token)["kid"]
