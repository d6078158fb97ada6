from opencode_cloud.contracts.mail_secrets import invitation_token, sign_in_code
from opencode_cloud.kit.derived_secrets import derive, hash_of_token


def test_the_boundaries_of_parts_count() -> None:
    assert derive("k", "p", "ab", "c") != derive("k", "p", "a", "bc")
    assert derive("k", "p", "ab") != derive("k", "pa", "b")


def test_a_new_generation_has_another_token() -> None:
    first, second = (invitation_token("key", "inv_1", generation) for generation in (1, 2))
    assert first != second
    assert len(first) == 43
    assert hash_of_token(first) != hash_of_token(second)


def test_a_sign_in_code_is_eight_digits_and_belongs_to_its_challenge() -> None:
    codes = {sign_in_code("key", f"challenge-{number}") for number in range(500)}
    assert all(len(code) == 8 and code.isdigit() for code in codes)
    assert len(codes) == 500
