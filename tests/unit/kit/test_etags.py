import pytest

from opencode_cloud.kit.errors import BadRequest, PreconditionFailed, PreconditionRequired
from opencode_cloud.kit.etags import check_tag, check_version, etag, tag_of, tag_of_request, version_of_request


def test_a_tag_comes_back_as_its_version_also_when_the_edge_weakened_it() -> None:
    assert version_of_request({"headers": {"if-match": etag(7)}}) == 7
    assert version_of_request({"headers": {"if-match": "W/" + etag(7)}}) == 7


@pytest.mark.parametrize("headers", [{}, {"if-match": ""}, {"if-match": "*"}])
def test_a_change_without_a_version_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(PreconditionRequired):
        version_of_request({"headers": headers})


def test_what_is_no_tag_is_refused() -> None:
    with pytest.raises(BadRequest):
        version_of_request({"headers": {"if-match": '"3", "4"'}})


def test_a_stale_version_is_refused() -> None:
    check_version(3, 3)
    with pytest.raises(PreconditionFailed) as refused:
        check_version(2, 3)
    assert refused.value.etag == etag(3)


def test_a_digest_comes_back_as_it_was_answered_also_when_the_edge_weakened_it() -> None:
    tag = tag_of("key_1", ["usage"], None)
    assert tag_of_request({"headers": {"if-match": tag}}) == tag
    assert tag_of_request({"headers": {"if-match": "W/" + tag}}) == tag
    assert tag != tag_of("key_1", [], None)


@pytest.mark.parametrize("headers", [{}, {"if-match": ""}, {"if-match": "*"}])
def test_a_change_that_may_name_a_state_need_not(headers: dict[str, str]) -> None:
    check_tag(tag_of_request({"headers": headers}), tag_of("now"))


@pytest.mark.parametrize("value", ['"a", "b"', "a", '"' + "a" * 65 + '"'])
def test_no_state_has_a_malformed_tag(value: str) -> None:
    with pytest.raises(BadRequest):
        tag_of_request({"headers": {"if-match": value}})


def test_another_state_is_refused_with_the_tag_of_the_present_one() -> None:
    check_tag(tag_of("now"), tag_of("now"))
    with pytest.raises(PreconditionFailed) as refused:
        check_tag(tag_of("then"), tag_of("now"))
    assert refused.value.etag == tag_of("now")
