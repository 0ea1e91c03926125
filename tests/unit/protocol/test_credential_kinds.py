"""Every kind of credential: what it needs, what it refuses, and that its secrets stay secrets."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from authority import Authority, key_pem
from factories import vault_oidc
from runpass.errors import InvalidInput
from runpass.protocol.credentials import CLASSES, CredentialGrant, CredentialKind, VaultOidc, parse
from runpass.protocol.wire import decode, encode
from runpass.secret import Secret

ID = UUID("01890000-0000-7000-8000-000000000001")
CANARY = "canary-5e1f"
ROLE = {"roleArn": "arn:aws:iam::123456789012:role/deploy"}
APPLICATION = {"clientId": "client", "subscriptionId": "subscription", "tenantId": "tenant"}
KEY_FILE = '{"private_key": "' + CANARY + '"}'
GOOD: dict[CredentialKind, dict[str, Any]] = {
    CredentialKind.VAULT_OIDC: {
        "address": "https://vault.example.com",
        "version": "1",
        "roleName": "deploy",
        "jwtAuthBackendPath": "jwt",
    },
    CredentialKind.AWS_OIDC: ROLE,
    CredentialKind.AZURE_OIDC: APPLICATION,
    CredentialKind.GCP_OIDC: {"credentialConfigurationFileContent": KEY_FILE},
    CredentialKind.AWS_ASSUMED_ROLE_FOR_DEPLOYMENT: ROLE,
    CredentialKind.AWS_ACCESS_KEYS_FOR_DEPLOYMENT: {"accessKeyId": "AKIA", "secretAccessKey": CANARY},
    CredentialKind.AWS_ASSUMED_ROLE: ROLE,
    CredentialKind.GCP_SERVICE_ACCOUNT_FOR_DEPLOYMENT: {"serviceAccountKey": KEY_FILE},
    CredentialKind.GCP_CREDENTIALS: {"tableid": "a.b.c", "secret": KEY_FILE},
    CredentialKind.AZURE_SERVICE_PRINCIPAL_FOR_DEPLOYMENT: {**APPLICATION, "clientSecret": CANARY},
    CredentialKind.AZURE_CREDENTIALS: {**APPLICATION, "clientSecret": CANARY},
    CredentialKind.OCI_API_KEY_FOR_DEPLOYMENT: {
        "tenancyOcid": "ocid1.tenancy",
        "userOcid": "ocid1.user",
        "fingerprint": "12:34",
        "privateKey": CANARY,
        "region": "eu-frankfurt-1",
    },
    CredentialKind.K8S_KUBECONFIG_FILE: {"kubeConfig": f"apiVersion: v1\ntoken: {CANARY}\n"},
    CredentialKind.K8S_EKS_AUTH: {"clusterName": "c", "clusterRegion": "us-east-1"},
    CredentialKind.K8S_AZURE_AKS_AUTH: {"clusterName": "c", "resourceGroup": "g"},
    CredentialKind.K8S_GCP_GKE_AUTH: {"clusterName": "c", "computeRegion": "r"},
}
"""The fields that each kind requires, as env0's provider sends them."""
AUTHORITY = Authority()
CLIENT = AUTHORITY.client()
every_kind = pytest.mark.parametrize("kind", CredentialKind)


def errors(kind: CredentialKind, value: Any) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        parse(kind, value)
    assert CANARY not in caught.value.message
    assert CANARY not in repr(caught.value)
    return {item.field: item.message for item in caught.value.errors}


def vault_error(**value: Any) -> dict[str, str]:
    return errors(CredentialKind.VAULT_OIDC, GOOD[CredentialKind.VAULT_OIDC] | value)


def test_every_kind_has_its_class_and_an_example_here():
    assert set(CLASSES) == set(GOOD) == set(CredentialKind)


@every_kind
def test_the_required_fields_are_enough_and_what_is_unknown_is_ignored(kind: CredentialKind):
    value = parse(kind, {**GOOD[kind], "externalId": CANARY, "extra": {"a": [CANARY]}})
    required = {field.alias for field in CLASSES[kind].model_fields.values() if field.is_required()}
    assert required == set(GOOD[kind])
    assert CANARY not in repr(value).replace(PRINTED_OF_SECRETS, "")
    assert value == parse(kind, GOOD[kind])


PRINTED_OF_SECRETS = "[secret]"


@every_kind
def test_all_missing_fields_are_named_at_once(kind: CredentialKind):
    assert errors(kind, {}) == {f"value.{name}": "is required" for name in GOOD[kind]}


@every_kind
@pytest.mark.parametrize("wrong", [None, 7, True, [CANARY], {CANARY: 1}])
def test_a_required_field_of_another_type_is_named_and_not_repeated(kind: CredentialKind, wrong: Any):
    assert errors(kind, dict.fromkeys(GOOD[kind], wrong)) == {
        f"value.{name}": "must be a string" for name in GOOD[kind]
    }


@every_kind
def test_a_required_field_may_not_be_empty_and_holds_no_nul(kind: CredentialKind):
    for name in GOOD[kind]:
        if name != "version":
            assert errors(kind, GOOD[kind] | {name: ""}) == {f"value.{name}": "must not be empty"}
        assert set(errors(kind, GOOD[kind] | {name: f"{CANARY}\0"})) == {f"value.{name}"}
        assert set(errors(kind, GOOD[kind] | {name: CANARY * 8192})) == {f"value.{name}"}


@every_kind
def test_secrets_do_not_show_in_repr_or_json(kind: CredentialKind):
    value = parse(kind, GOOD[kind])
    assert CANARY not in repr(value)
    assert CANARY not in str(value)
    secrets = [name for name in type(value).model_fields if isinstance(getattr(value, name), Secret)]
    assert bool(secrets) is (CANARY in json.dumps(GOOD[kind]))
    if secrets:
        with pytest.raises(ValueError, match="not serialised"):
            value.model_dump_json()
        assert CANARY in encode(value).decode()


@every_kind
def test_every_field_is_labelled_for_the_form(kind: CredentialKind):
    for name, field in CLASSES[kind].model_fields.items():
        assert field.title, name
        assert field.description, name
        assert field.examples, name


@pytest.mark.parametrize("kind", [CredentialKind.AWS_OIDC, CredentialKind.AWS_ASSUMED_ROLE])
def test_a_duration_is_one_of_env0s(kind: CredentialKind):
    assert parse(kind, ROLE).model_dump()["duration"] == 18000
    assert parse(kind, ROLE | {"duration": 43200}).model_dump()["duration"] == 43200
    for wrong in (0, 3601, "3600", 18000.5, True):
        said = errors(kind, ROLE | {"duration": wrong})
        assert said == {"value.duration": "must be one of 3600, 7200, 14400, 18000, 28800 or 43200"}


def test_the_empty_secret_that_azure_oidc_is_sent_with_is_not_kept():
    value = parse(CredentialKind.AZURE_OIDC, APPLICATION | {"clientSecret": CANARY, "projectId": "p"})
    assert CANARY not in encode(value).decode()


def test_null_means_left_out_where_a_field_may_be_left_out():
    left_out = dict.fromkeys(("namespace", "tokenFormat", "caBundle", "clientKey", "serverName", "exportToken"))
    assert parse(CredentialKind.VAULT_OIDC, GOOD[CredentialKind.VAULT_OIDC] | left_out) == parse(
        CredentialKind.VAULT_OIDC, GOOD[CredentialKind.VAULT_OIDC]
    )


@pytest.mark.parametrize(
    ("token_format", "audience"),
    [("v1", "shared"), ("v2", "api://env0-vault"), ("credential", f"urn:runpass:credential:{ID}")],
)
def test_the_token_format_decides_the_audience(token_format: str, audience: str):
    assert vault_oidc(tokenFormat=token_format).audience("shared", ID) == audience


@pytest.mark.parametrize(
    ("sent", "reading"), [({}, "team"), ({"secretNamespace": "other/x/"}, "other/x"), ({"secretNamespace": "root"}, "")]
)
def test_secrets_are_read_in_their_namespace_or_in_that_of_the_auth_method(sent: dict[str, str], reading: str):
    assert vault_oidc(namespace="team", **sent).reading_namespace == reading


def test_certificates_and_key_are_taken_and_travel_to_the_runner():
    more = {
        "caBundle": f"Here it is:\n{AUTHORITY.certificate}and no more",
        "clientCertificate": CLIENT.certificate + AUTHORITY.certificate,
        "clientKey": CLIENT.key,
        "serverName": "Vault.internal",
        "exportToken": False,
        "skipChildToken": True,
    }
    value = vault_oidc(**more)
    assert (value.ca_bundle, value.server_name) == (AUTHORITY.certificate, "vault.internal")
    assert CLIENT.key not in repr(value)
    grant = CredentialGrant(credential_id=ID, name="n", kind=CredentialKind.VAULT_OIDC, value=value)
    assert decode(CredentialGrant, encode(grant)) == grant


NOT_CERTIFICATES = "must be one or more certificates in PEM, each from BEGIN CERTIFICATE to END CERTIFICATE"
BROKEN = f"-----BEGIN CERTIFICATE-----\n{CANARY}\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("field", ["caBundle", "clientCertificate"])
@pytest.mark.parametrize(
    ("pem", "said"),
    [
        (CANARY, NOT_CERTIFICATES),
        (BROKEN, NOT_CERTIFICATES),
        (AUTHORITY.certificate + BROKEN, NOT_CERTIFICATES),
        (CLIENT.certificate + CLIENT.key, "must not hold a private key"),
        ("", "must not be empty"),
        (AUTHORITY.certificate * 200, "is longer than 64 KiB"),
    ],
    ids=["text", "broken", "one-broken", "with-key", "empty", "long"],
)
def test_what_is_no_certificate_is_refused(field: str, pem: str, said: str):
    found = vault_error(**{field: pem})
    assert found[f"value.{field}"] == said


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"clientCertificate": CLIENT.certificate}, "is required with clientCertificate"),
        ({"clientKey": CLIENT.key}, "needs clientCertificate"),
        (
            {"clientCertificate": CLIENT.certificate, "clientKey": AUTHORITY.client().key},
            "is not the key of clientCertificate",
        ),
        ({"clientCertificate": CLIENT.certificate, "clientKey": CANARY}, "must be a private key in PEM"),
        ({"clientCertificate": CLIENT.certificate, "clientKey": CLIENT.certificate}, "must be a private key in PEM"),
        (
            {
                "clientCertificate": CLIENT.certificate,
                "clientKey": key_pem(ec.generate_private_key(ec.SECP256R1()), CANARY),
            },
            "must not be encrypted with a passphrase",
        ),
    ],
    ids=["no-key", "no-certificate", "another", "text", "certificate", "encrypted"],
)
def test_a_client_key_is_the_readable_key_of_the_certificate(more: dict[str, str], said: str):
    assert vault_error(**more) == {"value.clientKey": said}


@pytest.mark.parametrize("name", ["", "a b", "a..b", "-a", "a:8200", "https://a", "10.0.0.1", f"{CANARY}/", "a" * 254])
def test_a_server_name_is_a_host_name(name: str):
    assert set(vault_error(serverName=name)) == {"value.serverName"}


@pytest.mark.parametrize(
    "more", [{"caBundle": AUTHORITY.certificate}, {"serverName": "vault"}, {"clientCertificate": CLIENT.certificate}]
)
def test_checks_of_the_vault_need_https(more: dict[str, str]):
    (field,) = more
    found = vault_error(address="http://127.0.0.1:8200", **more)
    assert found[f"value.{field}"] == "needs an address with https"


def test_flags_are_true_or_false():
    assert vault_error(exportToken="yes", skipChildToken=1) == {
        "value.exportToken": "must be true or false",
        "value.skipChildToken": "must be true or false",
    }


def test_a_vault_credential_of_env0_says_nothing_of_our_own_fields():
    value = parse(CredentialKind.VAULT_OIDC, GOOD[CredentialKind.VAULT_OIDC])
    assert isinstance(value, VaultOidc)
    assert (value.export_token, value.skip_child_token, value.token_format) == (True, False, "v1")
    assert (value.ca_bundle, value.client_certificate, value.client_key, value.server_name) == (None,) * 4


def test_the_reference_names_every_type_and_every_field():
    page = (Path(__file__).parents[3] / "docs" / "reference" / "credentials.md").read_text(encoding="utf-8")
    sections = page.split("\n## ")
    for kind, of_kind in CLASSES.items():
        (section,) = [item for item in sections if f"`{kind.value}`" in item.splitlines()[0]]
        for field in of_kind.model_fields.values():
            row = next(line for line in section.splitlines() if line.startswith(f"| `{field.alias}` |"))
            assert ("required" in row) is field.is_required()
            assert ("**secret**" in row) is ("Secret" in repr(field.annotation))
