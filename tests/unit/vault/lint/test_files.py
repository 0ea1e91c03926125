import pytest

from runpass.errors import InvalidInput
from runpass.vault.lint.files import parse


def test_the_data_of_a_read_is_taken_alone_or_inside_the_answer():
    assert parse('{"token_ttl": "5m", "bound_claims": null}', "--role-file") == {
        "token_ttl": "5m",
        "bound_claims": None,
    }
    assert parse('{"request_id": "x", "data": {"token_ttl": 60}}', "--role-file") == {"token_ttl": 60}
    assert parse("null", "--role-file") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{\n "a": 1,\n}', "--role-file: is not JSON: line 3, column 1"),
        ("[1]", "--role-file: must be a JSON object"),
        ("[" * 100_000, "--role-file: is nested too deeply"),
        ("", "line 1, column 1"),
    ],
)
def test_what_is_not_a_role_is_told_with_its_place(text, said):
    with pytest.raises(InvalidInput, match="--role-file") as caught:
        parse(text, "--role-file")
    assert said in caught.value.message


def test_every_field_of_a_wrong_type_is_named_and_no_value_is_repeated():
    text = '{"token_ttl": "canary", "bound_audiences": ["a", 7], "verbose_oidc_logging": "canary", "bound_claims": []}'
    with pytest.raises(InvalidInput) as caught:
        parse(text, "--role-file")
    assert [error.field.split(": ")[1] for error in caught.value.errors] == [
        "bound_audiences", "token_ttl", "verbose_oidc_logging", "bound_claims",
    ]  # fmt: skip
    assert "canary" not in str(caught.value)
