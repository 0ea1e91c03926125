"""Forms that are drawn from classes."""

from typing import Annotated

import pytest
from pydantic import BaseModel, Field, ValidationError

from runpass.errors import InvalidInput
from runpass.protocol.credentials import CLASSES, CredentialKind, VaultOidc, parse
from runpass.protocol.wire import invalid_input
from runpass.server.web.fields import FieldKind, errors_of, fields_of, values_of

KINDS = {
    "address": FieldKind.LINE,
    "tokenFormat": FieldKind.CHOICE,
    "caBundle": FieldKind.TEXT,
    "clientKey": FieldKind.SECRET_TEXT,
    "timeoutSeconds": FieldKind.NUMBER,
    "exportToken": FieldKind.SWITCH,
}
GOOD = {
    "address": "https://vault.example.com:8200",
    "version": "1.18.0",
    "roleName": "deploy",
    "jwtAuthBackendPath": "jwt",
}


@pytest.mark.parametrize("kind", CredentialKind)
def test_every_field_of_every_kind_has_a_label_a_help_and_an_example(kind: CredentialKind):
    for field in fields_of(CLASSES[kind]):
        assert field.label, field.name
        assert field.help, field.name
        assert field.example, field.name


def test_each_field_is_drawn_as_what_it_is():
    found = {field.name: field for field in fields_of(VaultOidc)}
    assert {name: found[name].kind for name in KINDS} == KINDS
    assert [choice.value for choice in found["tokenFormat"].choices] == ["v1", "v2", "credential"]
    assert found["exportToken"].value is True
    assert (found["address"].is_required, found["namespace"].is_required) == (True, False)


def test_a_secret_of_one_line_is_hidden_and_a_whole_file_keeps_its_lines():
    found = {field.name: field.kind for field in fields_of(CLASSES[CredentialKind.AWS_ACCESS_KEYS_FOR_DEPLOYMENT])}
    assert found == {"accessKeyId": FieldKind.LINE, "secretAccessKey": FieldKind.SECRET}
    (file,) = fields_of(CLASSES[CredentialKind.K8S_KUBECONFIG_FILE])
    assert file.kind is FieldKind.SECRET_TEXT


def test_a_choice_of_numbers_is_a_number_again_and_is_shown_as_chosen():
    kind = CLASSES[CredentialKind.AWS_ASSUMED_ROLE]
    values = values_of(kind, {"roleArn": "arn", "duration": "3600"})
    assert values == {"roleArn": "arn", "duration": 3600}
    shown = next(field for field in fields_of(kind, values) if field.name == "duration")
    assert shown.value in {choice.value for choice in shown.choices}
    assert values_of(kind, {"duration": "7"}) == {"duration": "7"}, "the class refuses it in its own words"


def test_what_a_form_sends_becomes_the_class():
    sent = {**GOOD, "address": " https://vault.example.com:8200 ", "timeoutSeconds": "20", "namespace": "", "x": "y"}
    value = parse(CredentialKind.VAULT_OIDC, values_of(VaultOidc, sent))
    assert isinstance(value, VaultOidc)
    assert (value.address, value.timeout_seconds, value.namespace) == ("https://vault.example.com:8200", 20, "")
    assert value.export_token is False, "a switch that is off is not sent"


def test_each_error_stands_at_its_field_and_what_was_typed_stays():
    sent = values_of(VaultOidc, {**GOOD, "roleName": "a b", "timeoutSeconds": "soon"})
    with pytest.raises(InvalidInput) as refused:
        parse(CredentialKind.VAULT_OIDC, sent)
    found = {field.name: field for field in fields_of(VaultOidc, sent, errors_of(refused.value, "value."))}
    assert {name for name, field in found.items() if field.error} == {"roleName", "timeoutSeconds"}
    assert found["timeoutSeconds"].value == "soon"


def test_a_number_of_thousands_of_digits_is_refused_as_any_other_that_is_none():
    sent = values_of(VaultOidc, {**GOOD, "timeoutSeconds": "9" * 5_000})
    with pytest.raises(InvalidInput) as refused:
        parse(CredentialKind.VAULT_OIDC, sent)
    assert set(errors_of(refused.value, "value.")) == {"timeoutSeconds"}


def test_a_secret_never_comes_back():
    sent = values_of(VaultOidc, {**GOOD, "clientKey": "-----BEGIN PRIVATE KEY-----\nx"})
    assert "clientKey" in sent
    found = {field.name: field for field in fields_of(VaultOidc, sent)}
    assert found["clientKey"].value == ""
    with pytest.raises(ValidationError):
        VaultOidc.model_validate(sent)


class _Listed(BaseModel):
    names: tuple[str, ...] = ()
    numbers: Annotated[list[Annotated[str, Field(max_length=3)]], Field(max_length=2)] | None = None


def test_a_list_has_a_line_for_each_text_and_its_first_error():
    sent = values_of(_Listed, {"names": " a \n\n b\n", "numbers": "1\nlonger\n"})
    assert sent == {"names": ["a", "b"], "numbers": ["1", "longer"]}
    assert values_of(_Listed, {"names": " \n", "numbers": ""}) == {}
    with pytest.raises(ValidationError) as refused:
        _Listed.model_validate(sent)
    names, numbers = fields_of(_Listed, sent, errors_of(invalid_input(refused.value)))
    assert (names.kind, names.value, names.error) == (FieldKind.LIST, "a\nb", "")
    assert (numbers.kind, numbers.value, numbers.error) == (FieldKind.LIST, "1\nlonger", "is longer than 3 characters")
    assert fields_of(_Listed)[0].value == ""
