"""Redirects after signing in stay on our host: an open redirect would help phishing."""

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.http.paths import login_path, safe_path

OURS = "https://cloud.example"


@pytest.mark.parametrize("path", ["/", "/account", "/device?user_code=BCDF-GHJK", "/console/wrk_1/keys?a=b&c=%2F#x"])
def test_paths_of_our_own_are_kept(path: str) -> None:
    assert safe_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "account",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        " //evil.example",
        "https://evil.example",
        "https:evil.example",
        "javascript:alert(1)",
        "/a\\..\\evil",
        "/ä",
        "/login",
        "/login/github",
        "/logout",
        "/auth/callback/github?code=x",
        "/" + "a" * 3000,
    ],
)
def test_everything_else_leads_to_the_beginning(path: str) -> None:
    assert safe_path(path) == "/"


@given(st.text(alphabet=st.sampled_from("/\\.:@?#%a \t\r\n[]e"), max_size=20) | st.text(max_size=40))
def test_no_path_leaves_our_origin(path: str) -> None:
    kept = safe_path(path)
    landed = urlsplit(urljoin(OURS, kept))
    assert (landed.scheme, landed.netloc) == ("https", "cloud.example")
    assert not kept.startswith(("//", "/\\"))
    assert not any(each in kept for each in "\t\r\n\\ ")


def test_a_path_survives_the_sign_in_page() -> None:
    assert login_path("/device?user_code=BCDF-GHJK") == "/login?continue=%2Fdevice%3Fuser_code%3DBCDF-GHJK"
    assert login_path("/") == "/login"
