import pytest

from runpass.secret import Secret
from runpass.vault.client import VaultClient
from runpass.vault.errors import TokenInvalid, Unreachable
from runpass.vault.secrets import SecretReference
from runpass.vault.session import Revocation, VaultSession


@pytest.fixture
def open_session(vault, issuer, trusting_mount, write_role):
    def log_in(**role):
        return VaultSession.login(vault, mount=trusting_mount, role=write_role(**role), jwt=issuer.token())

    return log_in


def test_a_session_reads_secrets_and_its_token_ends_with_it(open_session, vault_root, kv_mount, allow):
    vault_root.write(f"{kv_mount}/data/app", {"data": {"x": "1"}})
    policy = allow(f'path "{kv_mount}/data/*" {{ capabilities = ["read"] }}')
    reference = SecretReference(f"{kv_mount}/app", "x")
    with open_session(token_policies=["default", policy]) as session:
        assert session.read_secrets([reference]) == {reference: Secret("1")}
        assert session.client.read("auth/token/lookup-self").data["ttl"] <= 60
    with pytest.raises(TokenInvalid):
        session.client.read("auth/token/lookup-self")


def test_revoking_twice_is_once(open_session):
    session = open_session()
    assert session.revoke() is Revocation.REVOKED
    assert session.revoke() is Revocation.REVOKED


def test_a_token_that_is_gone_already_counts_as_done(open_session, vault_root):
    session = open_session()
    vault_root.write("auth/token/revoke", {"token": session.token})
    assert session.revoke() is Revocation.ALREADY_GONE


def test_a_batch_token_is_said_to_live_on(open_session):
    session = open_session(token_type="batch")
    assert session.revoke() is Revocation.NOT_REVOCABLE
    assert session.client.read("auth/token/lookup-self").data["type"] == "batch"


def test_a_token_without_the_default_policy_is_said_to_live_on(open_session, vault_root):
    session = open_session(token_no_default_policy=True, token_policies=["unknown"])
    assert session.revoke() is Revocation.NOT_ALLOWED
    vault_root.write("auth/token/revoke", {"token": session.token})


def test_what_went_wrong_inside_is_not_hidden_by_the_revocation(open_session):
    with pytest.raises(LookupError, match="inside"), open_session() as session:
        raise LookupError("inside")
    assert session.revoke() is Revocation.REVOKED


def test_a_revocation_that_could_not_be_asked_for_is_an_error_and_may_be_tried_again(open_session):
    session = open_session()
    with VaultClient("http://127.0.0.1:1") as away:
        stranded = VaultSession(away, session.granted)
        for _ in range(2):
            with pytest.raises(Unreachable):
                stranded.revoke()
        with pytest.raises(LookupError, match="inside"), stranded:
            raise LookupError("inside")
    assert session.revoke() is Revocation.REVOKED
