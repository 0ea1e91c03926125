"""The one class that a Vault OIDC credential is, from the request to the runner: what it takes and what it refuses."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories import vault_oidc
from runpass.errors import InvalidInput
from runpass.protocol.credentials import CredentialKind, VaultOidc, is_loopback, parse

GOOD = {
    "address": "https://vault.example.com:8200",
    "version": "1.18.0",
    "roleName": "deploy",
    "jwtAuthBackendPath": "jwt",
}
NOT_A_URL = "must be a URL such as https://vault.example.com:8200"
NOT_A_PATH = "must be a path such as jwt or team/jwt"
NOT_A_ROLE = "must be a role's name: no spaces and no slashes"

REFUSED = [
    ("address", "", "must not be empty"),
    ("address", "vault.canary.com", NOT_A_URL),
    ("address", "ftp://vault.canary.com", NOT_A_URL),
    ("address", "https://", NOT_A_URL),
    ("address", "https:///canary", NOT_A_URL),
    ("address", "https://canary:port", NOT_A_URL),
    ("address", "https://canary:99999", NOT_A_URL),
    ("address", "https://[canary", NOT_A_URL),
    ("address", "https://vault.canary.com\u2100", NOT_A_URL),
    ("address", "https://vault canary.com", NOT_A_URL),
    ("address", "https://vault.canary.com\n", NOT_A_URL),
    ("address", "https://vault.canary.com\x00", NOT_A_URL),
    ("address", "https://vault.canary.com\u202e", NOT_A_URL),
    ("address", "https://canary@vault.example.com", "must not carry a user name or password"),
    ("address", "https://user:canary@vault.example.com", "must not carry a user name or password"),
    ("address", "https://@vault.canary.com", "must not carry a user name or password"),
    ("address", "https://vault.example.com?canary=1", "must not carry a query or a fragment"),
    ("address", "https://vault.example.com/?", "must not carry a query or a fragment"),
    ("address", "https://vault.example.com#canary", "must not carry a query or a fragment"),
    ("address", "https://" + "c" * 2048, "is longer than 2048 characters"),
    ("address", 12345, "must be a string"),
    ("address", ["canary"], "must be a string"),
    ("address", None, "must be a string"),
    ("version", "canary" * 11, "is longer than 64 characters"),
    ("version", "canary\x00", "must not contain control characters"),
    ("version", 1.18, "must be a string"),
    ("roleName", "", "must not be empty"),
    ("roleName", "canary role", NOT_A_ROLE),
    ("roleName", "canary/role", NOT_A_ROLE),
    ("roleName", "canary?", NOT_A_ROLE),
    ("roleName", "canary%2f", NOT_A_ROLE),
    ("roleName", "canary\n", NOT_A_ROLE),
    ("roleName", "c" * 256, "is longer than 255 characters"),
    ("roleName", True, "must be a string"),
    ("jwtAuthBackendPath", "", "must not be empty"),
    ("jwtAuthBackendPath", "/", NOT_A_PATH),
    ("jwtAuthBackendPath", "canary/../sys", NOT_A_PATH),
    ("jwtAuthBackendPath", "./canary", NOT_A_PATH),
    ("jwtAuthBackendPath", "canary//jwt", NOT_A_PATH),
    ("jwtAuthBackendPath", "canary?x", NOT_A_PATH),
    ("jwtAuthBackendPath", "canary#x", NOT_A_PATH),
    ("jwtAuthBackendPath", "canary%2e", NOT_A_PATH),
    ("jwtAuthBackendPath", "canary\\x", NOT_A_PATH),
    ("jwtAuthBackendPath", "canary\t", NOT_A_PATH),
    ("jwtAuthBackendPath", {"canary": 1}, "must be a string"),
    ("namespace", "canary/../x", NOT_A_PATH),
    ("namespace", "canary\x7f", NOT_A_PATH),
    ("namespace", 7, "must be a string"),
    ("tokenFormat", "canary", "must be one of 'v1', 'v2' or 'credential'"),
]


@pytest.mark.parametrize(
    ("field", "value", "sentence"), REFUSED, ids=[f"{f}-{n}" for n, (f, _, _) in enumerate(REFUSED)]
)
def test_a_bad_field_is_named_with_what_is_wrong_and_without_its_value(field: str, value: Any, sentence: str):
    with pytest.raises(InvalidInput) as error:
        parse(CredentialKind.VAULT_OIDC, GOOD | {field: value})
    (found,) = error.value.errors
    assert (found.field, found.message) == (f"value.{field}", sentence)
    assert "canary" not in error.value.message


def test_all_bad_fields_are_named_at_once():
    bad = {
        "address": "canary",
        "roleName": "canary canary",
        "jwtAuthBackendPath": "../canary",
        "namespace": ["canary"],
        "tokenFormat": 3,
    }
    with pytest.raises(InvalidInput) as error:
        parse(CredentialKind.VAULT_OIDC, bad)
    expected = {"address", "version", "roleName", "jwtAuthBackendPath", "namespace", "tokenFormat"}
    assert {item.field for item in error.value.errors} == {f"value.{name}" for name in expected}
    assert "canary" not in error.value.message


@pytest.mark.parametrize("value", [None, "canary", 7, ["canary"]])
def test_a_value_that_is_no_object_is_refused(value: Any):
    with pytest.raises(InvalidInput) as error:
        parse(CredentialKind.VAULT_OIDC, value)
    assert [item.message for item in error.value.errors] == ["must be an object"]
    assert "canary" not in error.value.message


def test_fields_that_env0_sends_and_we_do_not_know_are_ignored():
    assert parse(CredentialKind.VAULT_OIDC, GOOD | {"type": "x", "extra": 1}) == vault_oidc()


@pytest.mark.parametrize(
    ("field", "sent", "kept"),
    [
        ("address", "https://vault.example.com:8200/", "https://vault.example.com:8200"),
        ("address", "https://gateway.example.com/vault/", "https://gateway.example.com/vault"),
        ("jwtAuthBackendPath", "/team/jwt/", "team/jwt"),
        ("namespace", "/team-a/", "team-a"),
        ("namespace", "root", ""),
        ("namespace", "/", ""),
    ],
)
def test_slashes_around_are_taken_off(field: str, sent: str, kept: str):
    assert vault_oidc(**{field: sent}).model_dump(by_alias=True)[field] == kept


def test_what_is_left_out_gets_env0s_defaults():
    assert (vault_oidc().namespace, vault_oidc().token_format) == ("", "v1")


@given(st.fixed_dictionaries({name: st.text(max_size=40) for name in [*GOOD, "namespace"]}))
def test_any_text_is_either_taken_and_stays_so_or_refused_field_by_field(value: dict[str, str]):
    try:
        taken = parse(CredentialKind.VAULT_OIDC, value)
    except InvalidInput as error:
        refused = [item.field for item in error.errors]
    else:
        assert parse(CredentialKind.VAULT_OIDC, taken.model_dump(by_alias=True)) == taken
        return
    assert refused
    assert all(field.startswith("value.") for field in refused)


@pytest.mark.parametrize(
    ("address", "is_clear_text"),
    [
        ("https://vault.example.com", False),
        ("http://vault.example.com", True),
        ("http://10.0.0.1:8200", True),
        ("http://127.0.0.1:8200", False),
        ("http://[::1]:8200", False),
        ("http://localhost:8200", False),
        ("http://localhost.evil.example", True),
        ("http://127.0.0.1.evil.example", True),
        ("HTTP://vault.example.com", True),
    ],
)
def test_http_to_another_machine_is_clear_text(address: str, is_clear_text: bool):  # noqa: FBT001
    assert vault_oidc(address=address).is_clear_text is is_clear_text


@pytest.mark.parametrize(
    "host",
    ["", "0.0.0.0", "192.168.0.1", "example.localhost.com", "::", "localhost.", "x.localhost"],  # noqa: S104
)
def test_what_is_not_surely_this_machine_is_not(host: str):
    assert not is_loopback(host)


def test_every_field_is_labelled_for_the_form():
    for name, field in VaultOidc.model_fields.items():
        assert field.title, name
        assert field.description, name
        assert field.examples, name
