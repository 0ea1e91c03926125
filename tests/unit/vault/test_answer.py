import json
import socket
import ssl

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpass.vault.answer import failure, parse
from runpass.vault.errors import (
    AnswerNotUnderstood,
    MountNotFound,
    NamespaceNotFound,
    Place,
    PolicyDenied,
    RateLimited,
    RequestRefused,
    Sealed,
    SecretNotFound,
    SecretsUnavailable,
    TlsFailed,
    TokenInvalid,
    Unreachable,
    VaultFailure,
    visible,
)
from runpass.vault.references import SecretReference
from runpass.vault.transport import translate

PLACE = Place("https://vault.test:8200", "team", "kv/data/app")

CASES = [
    (400, "no data provided", RequestRefused),
    (403, "permission denied", TokenInvalid),
    (403, "1 error occurred:\n\t* permission denied\n\n", PolicyDenied),
    (403, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n", TokenInvalid),
    (403, 'preflight capability check returned 403, please ensure ... "x/"', PolicyDenied),
    (404, "namespace not found", NamespaceNotFound),
    (404, 'no handler for route "x". route entry not found.', MountNotFound),
    (405, "unsupported operation", RequestRefused),
    (413, "http: request body too large", RequestRefused),
    (429, 'request path "x": rate limit quota exceeded', RateLimited),
    (500, "internal error", RequestRefused),
    (502, "bad gateway", AnswerNotUnderstood),
    (503, "Vault is sealed", Sealed),
    (503, "no active node", AnswerNotUnderstood),
]


@pytest.mark.parametrize(("status", "words", "expected"), CASES)
def test_each_status_and_words_mean_one_error(status, words, expected):
    answer = parse(status, json.dumps({"errors": [words]}).encode(), PLACE)
    error = failure(answer, PLACE, with_token=True)
    assert type(error) is expected
    assert error.status == status
    assert error.vault_error == visible(words)
    assert "vault.test" in error.message or expected is NamespaceNotFound
    assert error.hint


def test_an_empty_404_is_a_secret_that_is_not_there():
    answer = parse(404, b'{"errors":[]}', PLACE)
    error = failure(answer, PLACE, with_token=True)
    assert type(error) is SecretNotFound
    assert error.vault_error is None
    assert "namespace team" in error.message


@given(st.integers(200, 599), st.binary(max_size=200))
def test_no_bytes_make_the_parser_fall_over(status, body):
    try:
        told = failure(parse(status, body, PLACE), PLACE, with_token=False)
    except VaultFailure as error:
        told = error
    assert told.status == status


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["data", "auth", "errors", "warnings"]), JSON))
def test_no_json_makes_the_parser_fall_over(content):
    try:
        answer = parse(200, json.dumps(content).encode(), PLACE)
    except AnswerNotUnderstood:
        return
    assert isinstance(answer.data, dict)
    assert isinstance(answer.auth, dict)


@given(st.text(max_size=300))
def test_visible_text_can_be_printed_anywhere(text):
    shown = visible(text, 200)
    assert all(c == " " or c.isprintable() or c.isspace() for c in shown)
    assert not {"\n", "\r", "\t", "\x1b", "\x9b", "\u202e", "\u2066", "\u200f"} & set(shown)


def test_visible_text_is_bounded():
    assert len(visible("x" * 10_000)) == 2_001


def raised_from(error: Exception, *causes: Exception) -> Exception:
    for one, cause in zip((error, *causes), causes, strict=False):
        one.__cause__ = cause
    return error


def certificate_error(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = code
    return error


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (raised_from(httpx2.ConnectError(""), socket.gaierror(-2, "x")), Unreachable, "host name is not known"),
        (raised_from(httpx2.ConnectError(""), OSError(), ConnectionRefusedError()), Unreachable, "refused"),
        (httpx2.ConnectTimeout(""), Unreachable, "did not answer in time"),
        (httpx2.ReadTimeout(""), Unreachable, "did not answer in time"),
        (httpx2.PoolTimeout(""), Unreachable, "did not answer in time"),
        (raised_from(httpx2.ConnectError(""), OSError(113, "no route")), Unreachable, "no connection"),
        (raised_from(httpx2.ConnectError(""), certificate_error(20)), TlsFailed, "not trusted"),
        (raised_from(httpx2.ConnectError(""), certificate_error(62)), TlsFailed, "another host name"),
        (raised_from(httpx2.ConnectError(""), certificate_error(10)), TlsFailed, "expired"),
        (raised_from(httpx2.ConnectError(""), certificate_error(23)), TlsFailed, "not accepted"),
        (raised_from(httpx2.ConnectError(""), ssl.SSLError(1, "x")), TlsFailed, "no TLS connection"),
        (httpx2.RemoteProtocolError(""), AnswerNotUnderstood, "broke off"),
        (httpx2.ReadError(""), AnswerNotUnderstood, "broke off"),
    ],
)
def test_each_failure_of_a_connection_has_its_own_sentence(error, kind, said):
    told = translate(error, PLACE)
    assert type(told) is kind
    assert said in told.message
    assert "vault.test" in told.message
    assert told.hint


def test_failed_secrets_are_listed_with_their_reasons_and_each_hint_once():
    failures = [
        (SecretReference("kv/a", "x"), SecretNotFound("no such secret", hint="Look.", vault_error="e", status=404)),
        (SecretReference("kv/b", "y", "team"), SecretNotFound("no such secret", hint="Look.", vault_error="e")),
    ]
    error = SecretsUnavailable(failures)
    assert error.message == "2 secrets could not be read: kv/a.x: no such secret; kv/b.y@team: no such secret"
    assert error.hint == "Look."
    assert error.vault_error == "e"
    assert error.failures == tuple(failures)
