import json

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate

from fake_servers import answering, http
from runpass.secret import Secret
from runpass.vault.client import VaultClient
from runpass.vault.errors import (
    NamespaceNotFound,
    PolicyDenied,
    SecretDeleted,
    SecretDestroyed,
    SecretKeyMissing,
    SecretNotFound,
    SecretsUnavailable,
    SecretUnusable,
    TokenInvalid,
    Unreachable,
)
from runpass.vault.secrets import SecretReference, find_references, read_secrets, substitute


@pytest.fixture
def counting_client():
    """A client class that counts its requests, and what it counted."""
    counted: list[str] = []

    class Counting(VaultClient):
        def request(self, method, path, data=None, *, accept=()):
            counted.append(f"{method} {path}")
            return super().request(method, path, data, accept=accept)

    return Counting, counted


def reasons(error: SecretsUnavailable) -> dict[str, type]:
    return {str(reference): type(failure) for reference, failure in error.failures}


def test_a_kv2_secret_is_read_without_data_in_its_path(vault_root, kv_mount):
    vault_root.write(f"{kv_mount}/data/team/app", {"data": {"user": "u", "password": "p.w"}})
    text = f"${{vault:{kv_mount}/team/app.user}}:${{vault:{kv_mount}/team/app.password}}@db"
    assert substitute(text, read_secrets(vault_root, find_references(text))).reveal() == "u:p.w@db"


def test_a_kv1_secret_is_read_as_it_is_written(vault_root, kv1_mount):
    vault_root.write(f"{kv1_mount}/team/app", {"user": "u"})
    reference = SecretReference(f"{kv1_mount}/team/app", "user")
    assert read_secrets(vault_root, [reference]) == {reference: Secret("u")}


def test_values_that_are_not_strings_become_compact_json(vault_root, kv_mount):
    values = {"n": 7, "f": 1.5, "t": True, "z": None, "l": [1, "ä"], "o": {"a": {"b": 1}}, "e": ""}
    vault_root.write(f"{kv_mount}/data/app", {"data": values})
    read = read_secrets(vault_root, [SecretReference(f"{kv_mount}/app", key) for key in values])
    assert {reference.key: value.reveal() for reference, value in read.items()} == {
        "n": "7", "f": "1.5", "t": "true", "z": "null", "l": '[1,"ä"]', "o": '{"a":{"b":1}}', "e": "",
    }  # fmt: skip


def test_one_kv2_secret_costs_two_requests_and_its_neighbour_one_more(openbao, vault_root, kv_mount, counting_client):
    counting, counted = counting_client
    for name in ("a", "b"):
        vault_root.write(f"{kv_mount}/data/{name}", {"data": {"x": "1", "y": "2"}})
    with counting(openbao.address, token=openbao.root_token) as client:
        read_secrets(client, [SecretReference(f"{kv_mount}/a", key) for key in ("x", "y", "x")])
        assert len(counted) == 2
        counted.clear()
        read_secrets(client, [SecretReference(f"{kv_mount}/{name}", "x") for name in ("a", "b")])
        assert len(counted) == 3


def test_all_failures_are_told_together_and_no_value_and_no_other_key(vault_root, kv_mount):
    vault_root.write(f"{kv_mount}/data/app", {"data": {"hidden-key": "value-canary"}})
    vault_root.write(f"{kv_mount}/data/deleted", {"data": {"x": "value-canary"}})
    vault_root.delete(f"{kv_mount}/data/deleted")
    vault_root.write(f"{kv_mount}/data/destroyed", {"data": {"x": "value-canary"}})
    vault_root.write(f"{kv_mount}/destroy/destroyed", {"versions": [1]})
    paths = ["app.nope", "app.hidden-key", "missing.x", "deleted.x", "destroyed.x", "app.x@no-such-namespace"]
    references = [*find_references(" ".join(f"${{vault:{kv_mount}/{path}}}" for path in paths))]
    references.append(SecretReference("no-such-mount/app", "x"))
    with pytest.raises(SecretsUnavailable) as caught:
        read_secrets(vault_root, references)
    error = caught.value
    assert reasons(error) == {
        f"{kv_mount}/app.nope": SecretKeyMissing,
        f"{kv_mount}/missing.x": SecretNotFound,
        f"{kv_mount}/deleted.x": SecretDeleted,
        f"{kv_mount}/destroyed.x": SecretDestroyed,
        f"{kv_mount}/app.x@no-such-namespace": NamespaceNotFound,
        "no-such-mount/app.x": PolicyDenied,
    }
    assert error.message.startswith("6 secrets could not be read: ")
    assert "hidden-key" not in f"{error.message} {error.hint} {error.vault_error}"
    assert "canary" not in f"{error.message} {error.hint} {error.vault_error}"


def test_a_missing_right_names_the_policy_line_that_would_grant_it(vault_root, kv_mount, allow, token_with):
    vault_root.write(f"{kv_mount}/data/app", {"data": {"x": "1"}})
    vault_root.write(f"{kv_mount}/data/other", {"data": {"x": "1"}})
    client = token_with(allow(f'path "{kv_mount}/data/app" {{ capabilities = ["read"] }}'))
    assert read_secrets(client, [SecretReference(f"{kv_mount}/app", "x")])
    with pytest.raises(SecretsUnavailable) as caught:
        read_secrets(client, [SecretReference(f"{kv_mount}/other", "x")])
    assert reasons(caught.value) == {f"{kv_mount}/other.x": PolicyDenied}
    assert f'path "{kv_mount}/data/other"' in caught.value.hint


def test_no_right_at_all_below_a_mount_is_told(kv_mount, token_with):
    with pytest.raises(SecretsUnavailable, match=f"anything below {kv_mount}/"):
        read_secrets(token_with("default"), [SecretReference(f"{kv_mount}/app", "x")])


def test_references_into_namespaces_are_read_there(vault_root, unique):
    name = unique("ns")
    vault_root.write(f"sys/namespaces/{name}")
    inside = vault_root.in_namespace(name)
    inside.write("sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
    inside.write("kv/data/app", {"data": {"x": "inside"}})
    away, here = SecretReference("kv/app", "x", name), SecretReference("kv/app", "x")
    assert read_secrets(vault_root, [away])[away].reveal() == "inside"
    assert read_secrets(inside, [here])[here].reveal() == "inside"


def test_mounts_with_slashes_are_found(vault_root, unique):
    mount = f"{unique('deep')}/team/kv"
    vault_root.write(f"sys/mounts/{mount}", {"type": "kv", "options": {"version": "2"}})
    vault_root.write(f"{mount}/data/a/b", {"data": {"x": "1"}})
    reference = SecretReference(f"{mount}/a/b", "x")
    assert read_secrets(vault_root, [reference])[reference].reveal() == "1"


def test_a_dead_token_is_asked_once_and_told_for_every_reference(openbao, kv_mount, counting_client):
    counting, counted = counting_client
    references = [SecretReference(f"{kv_mount}/{name}", "x") for name in "abc"]
    with counting(openbao.address, token=Secret("s.dead")) as client, pytest.raises(SecretsUnavailable) as caught:
        read_secrets(client, references)
    assert set(reasons(caught.value).values()) == {TokenInvalid}
    assert len(caught.value.failures) == 3
    assert len(counted) == 1


def test_a_vault_that_does_not_answer_is_waited_for_once():
    with answering(b"", hold=True) as server, VaultClient(server.address, timeout=0.1) as client:
        with pytest.raises(SecretsUnavailable) as caught:
            read_secrets(client, [SecretReference(f"kv/{name}", "x") for name in "abcdef"])
        assert set(reasons(caught.value).values()) == {Unreachable}
    assert len(server.requests) == 1


def test_an_answer_without_mount_options_is_version_1():
    answer = http(200, '{"data": {"path": "kv/", "options": null, "x": "1"}}')
    with answering(answer) as server, VaultClient(server.address) as client:
        reference = SecretReference("kv/app", "x")
        assert read_secrets(client, [reference])[reference].reveal() == "1"
    assert server.requests[1].startswith(b"GET /v1/kv/app ")


def test_no_references_cost_nothing():
    with VaultClient("http://127.0.0.1:1") as client:
        assert read_secrets(client, []) == {}


def test_what_has_parameters_is_asked_for_once_for_all_of_its_keys(vault_root, unique):
    mount = unique("pki")
    vault_root.write(f"sys/mounts/{mount}", {"type": "pki"})
    vault_root.write(f"{mount}/root/generate/internal", {"common_name": "test"})
    vault_root.write(f"{mount}/roles/web", {"allow_any_name": True})
    text = (
        f"${{vault:{mount}/issue/web.certificate?common_name=a.example.com&ttl=60}}"
        f"${{vault:{mount}/issue/web.private_key?ttl=60&common_name=a.example.com}}"
    )
    found = read_secrets(vault_root, find_references(text))
    certificate, key = (value.reveal() for value in found.values())
    assert load_pem_x509_certificate(certificate.encode()).public_key() == (
        load_pem_private_key(key.encode(), None).public_key()
    )


def test_parameters_never_overwrite_a_secret(vault_root, kv_mount, kv1_mount):
    vault_root.write(f"{kv1_mount}/app", {"password": "kept"})
    references = [
        SecretReference(f"{mount}/app", "password", parameters=(("a", "b"),)) for mount in (kv_mount, kv1_mount)
    ]
    with pytest.raises(SecretsUnavailable) as caught:
        read_secrets(vault_root, references)
    assert set(reasons(caught.value).values()) == {SecretUnusable}
    assert vault_root.read(f"{kv1_mount}/app").data == {"password": "kept"}


@pytest.mark.parametrize("path", ["auth/token/create", "sys/policies/acl/x", "cubbyhole/x", "identity/entity"])
def test_parameters_never_reach_the_vault_itself(vault_root, path):
    with pytest.raises(SecretsUnavailable) as caught:
        read_secrets(vault_root, [SecretReference(path, "x", parameters=(("a", "b"),))])
    assert set(reasons(caught.value).values()) == {SecretUnusable}


def test_a_whole_secret_is_its_json(vault_root, kv_mount):
    vault_root.write(f"{kv_mount}/data/app", {"data": {"user": "u", "port": 5432}})
    reference = SecretReference(f"{kv_mount}/app", "*")
    assert json.loads(read_secrets(vault_root, [reference])[reference].reveal()) == {"user": "u", "port": 5432}
