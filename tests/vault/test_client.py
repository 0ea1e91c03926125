import socket

import pytest

from fake_servers import answering, certificates, http
from runpass.local.openbao import DevOpenBao
from runpass.secret import Secret
from runpass.vault.client import MAX_BODY, VaultClient
from runpass.vault.errors import (
    AddressInvalid,
    AnswerNotUnderstood,
    MountNotFound,
    PathInvalid,
    PolicyDenied,
    RateLimited,
    Redirected,
    RequestRefused,
    Sealed,
    SecretNotFound,
    TlsFailed,
    TokenInvalid,
    Unreachable,
)

CANARY = "s.canary-of-a-token"


def asked(server_answer, **client):
    """What the client raises when a server answers these bytes."""
    with answering(server_answer) as server, VaultClient(server.address, **client) as vault:
        with pytest.raises(Exception) as caught:  # noqa: PT011 -- each test looks at the class itself
            vault.read("secret/app")
        return caught.value


def test_a_sealed_vault_is_told():
    with DevOpenBao() as bao, bao.root() as root:
        root.write("sys/seal")
        with pytest.raises(Sealed) as caught:
            root.read("secret/data/app")
        assert caught.value.status == 503
        assert caught.value.vault_error == "Vault is sealed"
        assert bao.address in caught.value.message


def test_a_redirect_names_the_host_alone_and_is_not_followed():
    error = asked(http(307, "", "Location: https://active.example:8200/v1/x?token=canary"), token=Secret(CANARY))
    assert type(error) is Redirected
    assert "active.example" in error.message
    assert "canary" not in error.message
    assert error.status == 307


@pytest.mark.parametrize("location", ["Location: /other", "Location: http://[broken", "X-None: 1"])
def test_a_redirect_to_nowhere_in_particular_is_still_told(location):
    assert type(asked(http(302, "", location))) is Redirected


@pytest.mark.parametrize(
    "answer",
    [
        http(200, "<html><body>Welcome</body></html>"),
        http(403, "<!DOCTYPE html><title>blocked by the firewall</title>"),
        http(502, "Bad Gateway"),
        http(200, "[1, 2]"),
        http(400, '{"errors": "a string"}'),
        http(400, '{"errors": [{"a": 1}]}'),
        http(200, '{"data": '),
        http(200, b"\xff\xfe\x00"),
        http(200, "[" * 100_000),
        http(503, '{"errors": ["no leader"]}'),
    ],
)
def test_an_answer_that_is_not_vaults_is_told_and_not_repeated(answer):
    error = asked(answer)
    assert type(error) is AnswerNotUnderstood
    assert "firewall" not in error.message
    assert error.hint


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"data": {',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
)
def test_half_an_answer_is_told(answer):
    error = asked(answer)
    assert type(error) is AnswerNotUnderstood
    assert "broke off" in error.message


def test_an_answer_without_end_is_cut():
    error = asked(http(200, b"x" * (MAX_BODY + 1)))
    assert type(error) is AnswerNotUnderstood
    assert "8 MiB" in error.message


def test_a_rate_limit_of_a_proxy_is_told():
    assert type(asked(http(429, "<html>slow down</html>"))) is RateLimited


def test_an_answer_that_does_not_come_is_told():
    with (
        answering(b"", hold=True) as server,
        VaultClient(server.address, timeout=0.1) as vault,
        pytest.raises(Unreachable, match="did not answer in time"),
    ):
        vault.read("secret/app")


def test_an_answer_that_drips_is_ended_by_the_same_timeout():
    drip = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"
    with (
        answering(drip, hold=True) as server,
        VaultClient(server.address, timeout=0.1) as vault,
        pytest.raises(Unreachable, match="did not answer in time"),
    ):
        vault.read("secret/app")


def test_a_refused_connection_is_told():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
        with VaultClient(address) as vault, pytest.raises(Unreachable, match="refused") as caught:
            vault.read("secret/app")
        assert address in caught.value.message


def test_a_private_ca_is_trusted_when_it_is_given_and_only_then(tmp_path):
    ca, tls = certificates(tmp_path)
    with answering(http(200, '{"data": {"a": "b"}}'), tls=tls) as server:
        address = server.address.replace("http:", "https:")
        with VaultClient(address, ca_bundle=ca) as vault:
            assert vault.read("secret/app").data == {"a": "b"}
        with VaultClient(address) as vault, pytest.raises(TlsFailed, match="authority that is not trusted") as caught:
            vault.read("secret/app")
        assert "CA" in caught.value.hint


@pytest.mark.parametrize(
    ("kind", "said"), [({"host": "other.test"}, "another host name"), ({"expired": True}, "expired")]
)
def test_a_certificate_that_does_not_fit_is_told(tmp_path, kind, said):
    ca, tls = certificates(tmp_path, **kind)
    with answering(http(200, "{}"), tls=tls) as server:
        address = server.address.replace("http:", "https:")
        with VaultClient(address, ca_bundle=ca) as vault, pytest.raises(TlsFailed, match=said):
            vault.read("secret/app")


def test_a_port_without_tls_is_told(vault):
    with VaultClient(vault.address.replace("http:", "https:")) as wrong, pytest.raises(TlsFailed) as caught:
        wrong.read("secret/app")
    assert "http://" in caught.value.hint


def test_a_port_that_wants_tls_is_told():
    error = asked(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
    assert type(error) is AnswerNotUnderstood
    assert "https://" in error.hint


def test_a_ca_bundle_that_is_none_is_told(tmp_path):
    broken = tmp_path / "ca.pem"
    broken.write_text("not a certificate")
    for path in (broken, tmp_path / "missing.pem"):
        with pytest.raises(TlsFailed, match="CA bundle"):
            VaultClient("https://vault.test", ca_bundle=path)


@pytest.mark.parametrize(
    "address",
    ["", "vault:8200", "ftp://vault", "http://", "http://u:canary@vault", "http://v?x=canary", "http://v/../x",
     "http://v:port", "http://[::1", "http://v /", "http://v#canary"],
)  # fmt: skip
def test_an_address_that_cannot_be_used_is_refused_and_not_repeated(address):
    with pytest.raises(AddressInvalid) as caught:
        VaultClient(address)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("token", ["", "with space", "with\nnewline", "émile"])
def test_a_token_that_no_vault_issued_is_not_sent_and_not_repeated(token):
    with pytest.raises(TokenInvalid) as caught:
        VaultClient("http://127.0.0.1:1", token=Secret(token))
    assert token == "" or token not in str(caught.value)


@pytest.mark.parametrize("path", ["", "/", "a//b", "../sys", "a/./b", "a?b", "a#b", "a%2e", "a\\b", "a\nb", "a\x1bb"])
def test_a_path_that_vault_could_not_mean_is_refused(vault, path):
    with pytest.raises(PathInvalid):
        vault.read(path)


def test_the_address_may_have_a_path_and_paths_are_encoded():
    with answering(http(204)) as server, VaultClient(f"{server.address}/vault/", token=Secret(CANARY)) as vault:
        assert vault.read("kv/ä b/c:d").status == 204
        vault.list("kv/dir")
        vault.delete("kv/x")
        assert CANARY not in repr(vault)
    lines = [request.split(b"\r\n")[0] for request in server.requests]
    assert lines == [
        b"GET /vault/v1/kv/%C3%A4%20b/c%3Ad HTTP/1.1",
        b"LIST /vault/v1/kv/dir HTTP/1.1",
        b"DELETE /vault/v1/kv/x HTTP/1.1",
    ]
    assert f"x-vault-token: {CANARY}".encode() in server.requests[0].lower()


def test_nothing_is_taken_from_the_environment(monkeypatch):
    with answering(http(204)) as server, answering(http(500)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.address)
        monkeypatch.setenv("ALL_PROXY", proxy.address)
        monkeypatch.setenv("VAULT_TOKEN", CANARY)
        monkeypatch.setenv("VAULT_NAMESPACE", "ambient")
        with VaultClient(server.address) as vault:
            vault.read("secret/app")
    assert not proxy.requests
    assert b"x-vault-token" not in server.requests[0].lower()
    assert b"ambient" not in server.requests[0]


def test_cookies_are_not_kept():
    with answering(http(204, "", "Set-Cookie: session=canary")) as server, VaultClient(server.address) as vault:
        vault.read("a")
        vault.read("b")
    assert b"canary" not in server.requests[1]


def test_what_was_sent_as_a_secret_is_cut_out_of_vaults_own_words():
    body = f'{{"errors": ["no {CANARY} and no value-canary"], "warnings": null}}'
    with (
        answering(http(400, body)) as server,
        VaultClient(server.address, token=Secret(CANARY)) as vault,
        pytest.raises(RequestRefused) as caught,
    ):
        vault.write("a/b", {"nested": [{"x": Secret("value-canary")}]})
    assert caught.value.vault_error == "no [secret] and no [secret]"
    assert b"value-canary" in server.requests[0]


def test_a_token_that_is_dead_and_a_policy_that_says_no_are_told_apart(vault, token_with):
    with pytest.raises(TokenInvalid, match="does not accept the token"):
        vault.with_token(Secret("s.nonsense")).read("secret/data/app")
    with pytest.raises(TokenInvalid, match="wants a token"):
        vault.read("secret/data/app")
    with pytest.raises(PolicyDenied, match="secret/data/app") as caught:
        token_with("default").read("secret/data/app")
    assert "\\n" in caught.value.vault_error


def test_newer_vaults_words_for_a_dead_token_are_understood():
    body = '{"errors":["2 errors occurred:\\n\\t* permission denied\\n\\t* invalid token\\n\\n"]}'
    assert type(asked(http(403, body), token=Secret(CANARY))) is TokenInvalid


def test_what_is_not_there_and_what_is_not_mounted_are_told_apart(vault_root):
    with pytest.raises(SecretNotFound):
        vault_root.read("secret/data/nothing-here")
    with pytest.raises(MountNotFound, match="nowhere/x"):
        vault_root.read("nowhere/x")
    assert vault_root.read("secret/data/nothing-here", accept={404}).status == 404


def test_a_request_that_vault_does_not_accept_carries_its_words(vault_root):
    with pytest.raises(RequestRefused) as caught:
        vault_root.write("secret/data/app", {"value": "without the wrapper"})
    assert caught.value.status == 400
    assert "no data provided" in caught.value.vault_error


def test_views_share_the_pool_and_only_the_first_client_closes_it(openbao):
    with openbao.client() as client:
        view = client.with_token(openbao.root_token).in_namespace("root")
        assert view.has_token
        assert not client.has_token
        assert view.namespace == ""
        view.close()
        assert view.read("auth/token/lookup-self").data["policies"] == ["root"]


def test_an_answers_repr_keeps_its_data_to_itself(vault_root, unique):
    path = f"secret/data/{unique('repr')}"
    vault_root.write(path, {"data": {"k": "value-canary"}})
    assert "value-canary" not in repr(vault_root.read(path))
