"""Answers that no Vault gives: told as failures, never as another exception, and never repeated."""

from datetime import timedelta

import pytest

from fake_servers import answering, http
from runpass.secret import Secret
from runpass.vault.client import VaultClient
from runpass.vault.errors import AnswerNotUnderstood, SecretsUnavailable, SecretUnusable
from runpass.vault.login import MAX_TOKEN, VaultLogin, jwt_login
from runpass.vault.secrets import SecretReference, read_secrets
from runpass.vault.session import VaultSession

GRANTED = VaultLogin(Secret("s.token"), Secret(""), (), timedelta(seconds=60), True, "service", "")  # noqa: FBT003


def renewed(duration: str) -> timedelta:
    body = f'{{"auth": {{"client_token": "s.token", "lease_duration": {duration}}}}}'
    with answering(http(200, body)) as server, VaultClient(server.address) as client:
        return VaultSession(client, GRANTED).renew()


@pytest.mark.parametrize("duration", ['"x"', "1e999", "NaN", "-1", "true", "null", "[1]", "10000000000"])
def test_a_renewal_of_nonsense_is_a_failure(duration):
    with pytest.raises(AnswerNotUnderstood, match="did not say for how long"):
        renewed(duration)


def test_a_renewal_gives_what_the_token_has_left():
    assert renewed("90") == timedelta(seconds=90)


@pytest.mark.parametrize("value", ['"canary-\\ud800"', '{"a": ["canary-\\udfff"]}'])
def test_a_value_that_is_not_unicode_is_refused_by_its_reference_alone(value):
    body = f'{{"data": {{"path": "kv/", "x": {value}}}}}'
    with (
        answering(http(200, body)) as server,
        VaultClient(server.address, token=Secret("s.token")) as client,
        pytest.raises(SecretsUnavailable, match=r"kv/app\.x: the value is not text") as caught,
    ):
        read_secrets(client, [SecretReference("kv/app", "x")])
    assert type(caught.value.failures[0][1]) is SecretUnusable
    assert "canary" not in str(caught.value)


def test_an_engine_whose_path_is_no_path_is_not_believed():
    body = '{"data": {"path": "kv\\ud800/", "x": "1"}}'
    with answering(http(200, body)) as server, VaultClient(server.address, token=Secret("s.token")) as client:
        assert read_secrets(client, [SecretReference("kv/app", "x")])[SecretReference("kv/app", "x")].reveal() == "1"


def logged_in(auth: str) -> VaultLogin:
    with (
        answering(http(200, f'{{"auth": {auth}, "warnings": [{", ".join(["1 and 2".join(chr(34) * 2)] * 99)}]}}')) as (
            server
        ),
        VaultClient(server.address) as client,
    ):
        return jwt_login(client, mount="jwt", role="deploy", jwt=Secret("j"))


def test_a_login_keeps_of_an_answer_what_can_be_masked_and_shown():
    login = logged_in('{"client_token": "s.token", "accessor": "\\ud800", "lease_duration": "x"}')
    assert login.accessor.reveal() == ""
    assert login.ttl == timedelta(0)
    assert len(login.warnings) == 20


def test_a_token_larger_than_any_is_not_taken():
    with pytest.raises(AnswerNotUnderstood):
        logged_in(f'{{"client_token": "{"x" * (MAX_TOKEN + 1)}"}}')
