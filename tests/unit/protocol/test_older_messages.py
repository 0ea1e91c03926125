"""Golden messages: what an older program sends is still understood, and a newer message is what was meant."""

import importlib
import json
import pkgutil
from collections.abc import Iterator
from typing import Any, get_args

import pytest

import runpass.protocol
from runpass.errors import InvalidInput
from runpass.protocol.identity import IdentityToken
from runpass.protocol.reports import Explained, Finish, Refusal
from runpass.protocol.sweeps import Sweep, SweepReport, SweepResult, decode_task
from runpass.protocol.vault_logins import EndedLogin, GivenToken, LoginEnd, LoginReport
from runpass.protocol.vault_tasks import ConnectionTest
from runpass.protocol.wire import Record, decode, encode
from runpass.secret import Secret

ID = "0198f000-0000-7000-8000-0000000000a1"
AT = "2026-01-02T03:04:05Z"
GRANT = {
    "credentialId": ID,
    "name": "vault",
    "kind": "VAULT_OIDC",
    "value": {
        "address": "https://vault.example.com",
        "version": "1",
        "roleName": "deploy",
        "jwtAuthBackendPath": "jwt",
    },
}
TEST = {
    "taskId": ID,
    "taskSecret": "rpt_secret",
    "expiresAt": AT,
    "grant": GRANT,
    "issuer": "https://id.example.com/",
    "jwksUrl": "https://id.example.com/jwks",
    "audience": "https://id.example.com",
    "expiredToken": "a.b.c",
    "loginToken": "a.b.c",
}
SWEEP = {
    "kind": "sweep",
    "taskId": ID,
    "taskSecret": "rpt_secret",
    "expiresAt": AT,
    "grant": GRANT,
    "sweeperToken": "a.b.c",
    "accessor": "accessor",
    "deploymentId": ID,
}


def bytes_of(value: Any) -> bytes:
    return json.dumps(value).encode()


def records(base: type[Record] = Record) -> Iterator[type[Record]]:
    for record in base.__subclasses__():
        yield record
        yield from records(record)


def test_whatever_may_be_null_may_be_missing():
    """Nothing is sent for null (`wire.encode`), so a field that is nullable and required can never be sent as null."""
    for module in pkgutil.walk_packages(runpass.protocol.__path__, "runpass.protocol."):
        importlib.import_module(module.name)
    found = [
        f"{record.__name__}.{name}"
        for record in records()
        for name, field in record.model_fields.items()
        if type(None) in get_args(field.annotation) and field.is_required()
    ]
    assert found == []
    assert len(set(records())) > 20


def test_a_check_of_which_nothing_can_be_known_arrives():
    unknown = Refusal(code="x", reason="y", checks=(Explained(name="recorded role"),))
    assert decode(Refusal, encode(unknown)) == unknown


def test_an_identity_token_of_a_server_that_keeps_no_account_has_no_login():
    found = decode(IdentityToken, bytes_of({"token": "a.b.c", "jti": "1", "audience": "x", "expiresAt": AT}))
    assert found.login_id is None


def test_a_last_word_without_an_account_is_not_an_empty_account():
    older = decode(Finish, bytes_of({"fencingToken": 1, "outcome": "success"}))
    assert older.vault_logins is None
    newer = Finish(fencing_token=1, outcome=older.outcome, vault_logins=())
    assert decode(Finish, encode(newer)).vault_logins == ()


def test_a_task_without_a_kind_is_a_connection_test():
    assert isinstance(decode_task(bytes_of(TEST)), ConnectionTest)
    assert isinstance(decode_task(bytes_of(SWEEP)), Sweep)
    with pytest.raises(InvalidInput):
        decode_task(bytes_of({**SWEEP, "kind": "something-newer"}))


def test_what_is_sent_is_what_was_meant():
    given = GivenToken(accessor=Secret("accessor"), ttl_seconds=120, renewable=True)
    report = LoginReport(fencing_token=1, given=given)
    assert json.loads(encode(report)) == {
        "fencingToken": 1,
        "given": {"accessor": "accessor", "ttlSeconds": 120, "renewable": True},
    }
    assert decode(LoginReport, encode(report)) == report
    assert (given.policies, given.renewals, given.left_seconds) == (None, None, None)
    newer = given.model_copy(update={"policies": ("default", "app"), "renewals": 3, "left_seconds": 60})
    assert decode(GivenToken, encode(newer)) == newer
    assert decode(LoginReport, b'{"fencingToken":1}').given is None
    ended = EndedLogin.model_validate({"loginId": ID, "end": "already-gone"})
    assert (ended.end, ended.given) == (LoginEnd.ALREADY_GONE, None)
    swept = SweepReport(result=SweepResult.NOT_OURS, said="text")
    assert json.loads(encode(swept)) == {"result": "not-ours", "said": "text"}


@pytest.mark.parametrize("accessor", ["", "a" * 513, "a\nb", "ä"])
def test_an_accessor_is_a_bounded_line_and_no_error_repeats_it(accessor: str):
    body = {"fencingToken": 1, "given": {"accessor": accessor, "ttlSeconds": 1}}
    with pytest.raises(InvalidInput) as refused:
        decode(LoginReport, bytes_of(body))
    assert not accessor or accessor not in str(refused.value)
