"""Which addresses of an ID Token count as verified."""

from typing import Any

import pytest

from runpass.server.openid.id_tokens import verified_email_of


@pytest.mark.parametrize("address", ["ann@example.com", "a.b+c@x.example", "o'neil@example.com", "ann@localhost"])
def test_an_address_that_the_provider_calls_verified_counts(address: str):
    assert verified_email_of({"email": address, "email_verified": True}) == address


@pytest.mark.parametrize("said", ["true", "True", 1, "false", False, None, [True], {"email": True}])
def test_nothing_but_true_is_a_yes(said: Any):
    assert verified_email_of({"email": "ann@example.com", "email_verified": said}) is None


def test_without_a_word_about_it_no_address_counts():
    assert verified_email_of({"email": "ann@example.com"}) is None
    assert verified_email_of({"email_verified": True}) is None


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ann",
        "@example.com",
        "ann@",
        "ann@b@example.com",
        "ann@example.com ",
        "ann@example.com\n",
        "ann @example.com",
        "änn@example.com",
        "ann@ex\u0430mple.com",
        "ann@example.com\u202e",
        "ann@example.com,bob@example.com",
        '"ann"@example.com',
        f"{'a' * 250}@x.example",
        ["ann@example.com"],
        1,
    ],
)
def test_what_a_person_or_a_program_could_read_as_another_address_is_none(address: Any):
    assert verified_email_of({"email": address, "email_verified": True}) is None
