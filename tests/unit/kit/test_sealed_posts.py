"""Posts among processes: encrypted, authenticated, fresh, accepted once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.kit import sealed_posts
from opencode_cloud.kit.errors import Forbidden
from opencode_cloud.kit.sealed_posts import FRESH_SECONDS, Poster, PostSeal

KEY = b"k" * 32


def seal(key: bytes = KEY) -> PostSeal:
    return PostSeal(lambda: key)


@given(st.binary(max_size=200))
def test_a_receiver_with_the_key_reads_a_post_once(content: bytes) -> None:
    receiver = seal()
    post = seal().seal(content)
    assert len(content) < 8 or content not in post
    assert receiver.open(post) == content
    with pytest.raises(Forbidden):
        receiver.open(post)


@given(st.data())
def test_a_changed_post_is_refused(data: st.DataObject) -> None:
    post = bytearray(seal().seal(b"content"))
    place = data.draw(st.integers(0, len(post) - 1))
    post[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Forbidden):
        seal().open(bytes(post))


def test_a_post_of_another_deployment_is_refused() -> None:
    with pytest.raises(Forbidden):
        seal().open(seal(b"x" * 32).seal(b"content"))


@pytest.mark.parametrize("post", [b"", b"short", b"x" * 40])
def test_what_is_no_post_is_refused(post: bytes) -> None:
    with pytest.raises(Forbidden):
        seal().open(post)


@pytest.mark.parametrize("seconds", [-FRESH_SECONDS - 1, FRESH_SECONDS + 1])
def test_an_old_post_is_refused(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    post = seal().seal(b"content")
    now = sealed_posts.now_seconds()
    monkeypatch.setattr(sealed_posts, "now_seconds", lambda: now + seconds)
    with pytest.raises(Forbidden):
        seal().open(post)


def test_an_address_where_nothing_listens_is_unreachable() -> None:
    assert Poster(seal()).post("http://127.0.0.1:9", b"content") == "unreachable"
