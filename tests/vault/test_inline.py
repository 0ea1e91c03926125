"""Reading without a token: OpenBao's inline authentication."""

import pytest

from fake_servers import answering, http
from runpass.secret import Secret
from runpass.vault.client import VaultClient
from runpass.vault.errors import (
    AnswerNotUnderstood,
    LoginRefused,
    PolicyDenied,
    SecretDeleted,
    SecretNotFound,
    SecretsUnavailable,
    SecretUnusable,
)
from runpass.vault.inline import InlineLogin
from runpass.vault.secrets import SecretReference, read_secrets
from throwaway_issuer import AUDIENCE


@pytest.fixture
def inline(vault_root, jwt_mount, issuer, unique, kv_mount):
    """A view that logs in with each request, to a role that may read `kv_mount`, and a way to change the login."""
    config = {"jwks_url": issuer.jwks_url, "bound_issuer": issuer.url}
    vault_root.write(f"auth/{jwt_mount}/config", config)
    policy = unique("inline")
    rules = f'path "{kv_mount}/*" {{ capabilities = ["read"] }} path "pki/issue/x" {{ capabilities = ["update"] }}'
    vault_root.write(f"sys/policies/acl/{policy}", {"policy": rules})
    vault_root.write(
        f"auth/{jwt_mount}/role/inline",
        {"role_type": "jwt", "user_claim": "sub", "bound_audiences": [AUDIENCE], "token_policies": [policy]},
    )

    def view(**changes):
        return vault_root.with_inline_login(InlineLogin(jwt_mount, "inline", issuer.token(**changes)))

    return view


def failure_of(view, reference):
    with pytest.raises(SecretsUnavailable) as caught:
        read_secrets(view, [reference])
    return caught.value.failures[0][1]


def accessors(vault_root):
    return set(vault_root.list("auth/token/accessors").data["keys"])


def test_secrets_are_read_and_no_token_is_made(vault_root, inline, kv_mount):
    vault_root.write(f"{kv_mount}/data/app", {"data": {"password": "p", "user": "u"}})
    before = accessors(vault_root)
    wanted = [SecretReference(f"{kv_mount}/app", "password"), SecretReference(f"{kv_mount}/app", "user")]
    assert [value.reveal() for value in read_secrets(inline(), wanted).values()] == ["p", "u"]
    assert accessors(vault_root) == before


def test_a_refused_login_is_explained_like_any_other(inline, kv_mount):
    failure = failure_of(inline(aud="other"), SecretReference(f"{kv_mount}/app", "x"))
    assert isinstance(failure, LoginRefused)
    assert "audience" in failure.message
    assert "invalid audience" in (failure.vault_error or "")


def test_what_the_policy_does_not_allow_is_no_login_that_failed(inline, kv1_mount):
    assert isinstance(failure_of(inline(), SecretReference(f"{kv1_mount}/app", "x")), PolicyDenied)


def test_an_engine_of_version_1_and_one_mounted_deeper_are_found(vault_root, inline, unique, jwt_mount, kv1_mount):
    deep = f"{unique('team')}/kv/apps"
    vault_root.write(f"sys/mounts/{deep}", {"type": "kv", "options": {"version": "2"}})
    vault_root.write(f"{deep}/data/web/app", {"data": {"x": "deep"}})
    vault_root.write(f"{kv1_mount}/web/app", {"x": "flat"})
    policy = vault_root.read(f"auth/{jwt_mount}/role/inline").data["token_policies"][0]
    rules = "".join(f'path "{mount}/*" {{ capabilities = ["read"] }}' for mount in (deep, kv1_mount))
    view = inline()
    vault_root.write(f"sys/policies/acl/{policy}", {"policy": rules})
    wanted = [SecretReference(f"{deep}/web/app", "x"), SecretReference(f"{kv1_mount}/web/app", "x")]
    assert [value.reveal() for value in read_secrets(view, wanted).values()] == ["deep", "flat"]


def test_what_is_not_there_is_told_from_what_is_closed(vault_root, inline, kv_mount):
    vault_root.write(f"{kv_mount}/data/gone", {"data": {"x": "y"}})
    vault_root.delete(f"{kv_mount}/data/gone")
    view = inline()
    assert isinstance(failure_of(view, SecretReference(f"{kv_mount}/never", "x")), SecretNotFound)
    assert isinstance(failure_of(view, SecretReference(f"{kv_mount}/gone", "x")), SecretDeleted)


def test_what_has_a_lease_cannot_be_had(vault_root, inline, unique, jwt_mount):
    mount = unique("ssh")
    vault_root.write(f"sys/mounts/{mount}", {"type": "ssh"})
    vault_root.write(f"{mount}/roles/r", {"key_type": "otp", "default_user": "u", "cidr_list": "127.0.0.0/8"})
    policy = vault_root.read(f"auth/{jwt_mount}/role/inline").data["token_policies"][0]
    view = inline()
    vault_root.write(f"sys/policies/acl/{policy}", {"policy": f'path "{mount}/*" {{ capabilities = ["update"] }}'})
    with pytest.raises(SecretUnusable, match="lease"):
        view.write(f"{mount}/creds/r", {"ip": "127.0.0.1"})
    asked = SecretReference(f"{mount}/creds/r", "key", parameters=(("ip", "127.0.0.1"),))
    assert isinstance(failure_of(view, asked), SecretUnusable)


@pytest.mark.parametrize("said", ["permission denied", "missing client token"])
def test_a_vault_that_does_not_know_it_is_told_apart(said):
    with answering(http(403, f'{{"errors": ["{said}"]}}')) as server, VaultClient(server.address) as client:
        failure = failure_of(
            client.with_inline_login(InlineLogin("jwt", "r", Secret("a.b.c"))), SecretReference("kv/app", "x")
        )
    assert isinstance(failure, AnswerNotUnderstood)
    assert "inline authentication" in failure.message


def test_the_login_is_in_no_representation(inline):
    assert "eyJ" not in repr(inline())
    assert "eyJ" not in repr(InlineLogin("jwt", "r", Secret("eyJ.x.y")))


def test_the_secrets_may_be_in_another_namespace_than_the_auth_method(vault_root, inline, unique, jwt_mount):
    namespace = unique("team")
    vault_root.write(f"sys/namespaces/{namespace}")
    inside = vault_root.in_namespace(namespace)
    inside.write("sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
    inside.write("kv/data/app", {"data": {"x": "theirs"}})
    policy = vault_root.read(f"auth/{jwt_mount}/role/inline").data["token_policies"][0]
    view = inline()
    rules = f'path "{namespace}/kv/data/*" {{ capabilities = ["read"] }}'
    vault_root.write(f"sys/policies/acl/{policy}", {"policy": rules})
    reference = SecretReference("kv/app", "x")
    assert read_secrets(view.in_namespace(namespace), [reference])[reference].reveal() == "theirs"
