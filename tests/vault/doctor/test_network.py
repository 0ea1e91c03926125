"""The doctor below HTTP, and at servers that are no Vault: everything is told, nothing takes long, no one is misled."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from authority import Authority
from fake_servers import answering, certificates, http
from runpass.clock import SYSTEM_CLOCK
from runpass.errors import ConfigurationError
from runpass.local.openbao import DevOpenBao, free_port
from runpass.secret import Secret
from runpass.vault.client import VaultClient
from runpass.vault.doctor.diagnosis import CHECKS, diagnose
from runpass.vault.doctor.model import DoctorTarget, Knowledge, Limits, ProbeTokens, Verdict
from runpass.vault.transport import Tls
from services import missing
from throwaway_issuer import AUDIENCE

QUICK = Limits(request_seconds=1.0)
HEALTH = '{"initialized": true, "sealed": false, "version": "2.7.2"}'
NAME = "vault.internal.test"


def examined(address, tls=None, *, clock=SYSTEM_CLOCK, limits=QUICK, **more):
    target = DoctorTarget(address=address, role="deploy", tls=tls or Tls(), **more)
    return {item.check: item for item in diagnose(target, limits=limits, clock=clock)}


def first_failure(results):
    """The check that failed first; all that need it are skipped."""
    failed = [name for name, item in results.items() if item.verdict is Verdict.FAILED]
    assert failed, results
    return results[failed[0]]


@pytest.mark.parametrize(
    "address",
    ["", "vault:8200", "ftp://vault", "https://", "https://u:canary@vault", "https://vault:99999", "https://[::1"],
)
def test_what_is_no_address_is_told_and_not_repeated(address):
    results = examined(address)
    assert first_failure(results).check == "address"
    assert set(results) == {check.name for check in CHECKS}
    assert "canary" not in str(results)
    assert results["revocation"].verdict is Verdict.OK


def test_a_name_that_is_not_known_is_told():
    found = first_failure(examined("https://no-such-host.invalid:8200"))
    assert found.check == "dns"
    assert "no-such-host.invalid" in found.seen


def test_a_port_that_nobody_listens_on_is_told():
    found = first_failure(examined(f"http://127.0.0.1:{free_port()}"))
    assert found.check == "tcp"
    assert "refused" in found.seen


def test_clear_text_over_a_network_is_a_warning(openbao):
    results = examined("http://vault.invalid:8200")
    assert results["address"].verdict is Verdict.WARNING
    assert examined(openbao.address)["address"].verdict is Verdict.OK


NOT_VAULT = {
    "a page": (http(200, "<html>canary</html>"), "an HTML page"),
    "half an answer": (b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"a', "broke off"),
    "nothing": (b"", "broke off"),
    "a redirect": (http(307, "", "Location: https://other.example/v1/x?canary"), "other.example"),
    "too many requests": (http(429, '{"errors": ["quota"]}'), "rate limit"),
    "too many requests, says a proxy": (http(429, "slow down, canary"), "rate limit"),
    "a gateway": (http(502, "canary"), "502"),
    "another program": (http(200, '{"hello": "canary"}'), "not as a Vault does"),
    "nobody's business": (http(404, '{"errors": []}'), "not as a Vault does"),
    "sealed": (
        http(503, '{"initialized": true, "sealed": true, "version": "1.20.0"}'),
        "HashiCorp Vault 1.20.0 is sealed",
    ),
    "not initialised": (http(501, '{"initialized": false, "sealed": true}'), "not initialised"),
    "a secondary": (
        http(472, '{"initialized": true, "sealed": false, "version": "1.9", "enterprise": true}'),
        "recovery",
    ),
    "no TLS": (b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n", "speaks TLS"),
}


@pytest.mark.parametrize("case", NOT_VAULT)
def test_what_answers_instead_of_a_ready_vault_is_told(case):
    answer, said = NOT_VAULT[case]
    with answering(answer) as server:
        results = examined(server.address)
    found = first_failure(results)
    assert found.check == "server"
    assert said in found.seen
    assert found.next_step
    assert results["mount"].verdict is Verdict.SKIPPED
    assert "canary" not in str(results)


def test_a_server_that_stalls_is_left_in_time():
    started = SYSTEM_CLOCK.monotonic()
    with answering(b"", hold=True) as server:
        results = examined(server.address, limits=Limits(request_seconds=0.2))
    assert first_failure(results).check == "server"
    assert "did not answer in time" in results["server"].seen
    assert SYSTEM_CLOCK.monotonic() - started < 30


def test_a_server_that_takes_a_second_for_each_answer_does_not_take_all_day():
    class Later:
        """Every look at the clock is ten seconds after the one before."""

        seconds = 0.0

        def now(self):
            return SYSTEM_CLOCK.now()

        def monotonic(self):
            self.seconds += 10
            return self.seconds

    results = examined("http://127.0.0.1:1", clock=Later(), limits=Limits(total_seconds=5))
    assert results["address"].seen == "there was no time left"
    assert results["revocation"].verdict is Verdict.OK


def test_a_mount_that_answers_nonsense_is_told():
    with answering(http(200, HEALTH)) as server:
        found = first_failure(examined(server.address))
    assert found.check == "mount"


@pytest.mark.parametrize(("seconds", "verdict"), [(0, "ok"), (20, "warning"), (-20, "warning"), (3600, "failed")])
def test_clocks_that_differ_are_told(openbao, seconds, verdict):
    class Moved:
        def now(self):
            return SYSTEM_CLOCK.now() + timedelta(seconds=seconds)

        def monotonic(self):
            return SYSTEM_CLOCK.monotonic()

    found = examined(openbao.address, clock=Moved())["clock"]
    assert found.verdict.value == verdict
    assert "Date header" in found.seen
    if seconds:
        assert ("behind" if seconds > 0 else "ahead of") in found.seen


def test_without_a_date_the_health_answer_tells_the_time():
    with answering(http(200, HEALTH.replace("}", ', "server_time_utc": 1000000000}'))) as server:
        results = examined(server.address)
    assert results["clock"].verdict is Verdict.FAILED
    assert "health answer" in results["clock"].seen
    with answering(http(200, HEALTH)) as server:
        assert examined(server.address)["clock"].verdict is Verdict.UNKNOWN


def test_a_sealed_openbao_is_told():
    with DevOpenBao() as bao, bao.root() as root:
        root.write("sys/seal")
        results = examined(bao.address)
    assert results["server"].seen == "OpenBao 2.7.2 is sealed"
    assert first_failure(results).next_step == "An operator has to unseal it."


# TLS


@pytest.fixture
def tls_server(tmp_path) -> Iterator:
    """A server that speaks TLS and answers health, with the certificate asked for."""
    with contextlib.ExitStack() as stack:

        def start(**certificate) -> tuple[str, Path]:
            ca, context = certificates(tmp_path, **certificate)
            return f"https://127.0.0.1:{stack.enter_context(answering(http(200, HEALTH), tls=context)).port}", ca

        yield start


def test_a_certificate_of_a_private_authority_is_shown(tls_server):
    address, ca = tls_server()
    found = examined(address, Tls(ca))["tls"]
    assert found.verdict is Verdict.WARNING  # it ends tomorrow
    assert "TLSv1.3; the certificate is for 127.0.0.1; signed by CN=test CA; until 20" in found.seen


def test_an_authority_that_is_not_trusted_is_named(tls_server, tmp_path):
    address, _ = tls_server()
    found = first_failure(examined(address))
    assert found.check == "tls"
    assert found.next_step == "Give the certificate of CN=test CA as the CA bundle."
    others = tmp_path / "others.pem"
    others.write_text(Authority("others").certificate)
    found = first_failure(examined(address, Tls(others)))
    assert found.next_step.startswith("The CA bundle that was given is another authority's")


def test_a_certificate_for_another_name_is_told_with_the_name(tls_server):
    address, ca = tls_server(host=NAME)
    found = first_failure(examined(address, Tls(ca)))
    assert "another host name; it is for vault.internal.test" in found.seen
    assert found.next_step.endswith(f"or give it as the server name: {NAME}.")
    assert examined(address, Tls(ca, server_name=NAME))["tls"].verdict is Verdict.WARNING


def test_an_expired_certificate_is_told_apart_from_a_wrong_clock(tls_server):
    address, ca = tls_server(expired=True)
    assert first_failure(examined(address, Tls(ca))).next_step == "Renew the Vault's certificate."

    class LongAgo:
        def now(self):
            return datetime(2001, 1, 1, tzinfo=UTC)

        def monotonic(self):
            return SYSTEM_CLOCK.monotonic()

    assert first_failure(examined(address, Tls(ca), clock=LongAgo())).next_step == "Check this machine's clock."


def test_a_port_without_tls_is_told(openbao):
    found = first_failure(examined(openbao.address.replace("http:", "https:")))
    assert found.check == "tls"
    assert "http://" in found.next_step


def test_a_port_that_accepts_and_says_nothing_is_told():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"https://127.0.0.1:{silent.getsockname()[1]}"
        found = first_failure(examined(address, limits=Limits(request_seconds=0.2)))
    assert found.check == "tls"
    assert "did not answer in time" in found.seen


def test_authorities_and_keys_that_cannot_be_used_are_told(tls_server):
    address, _ = tls_server()
    assert first_failure(examined(address, Tls(ca_certificates="canary"))).check == "tls"
    one, two = Authority().client(), Authority().client()
    tls = Tls(client_certificate=one.certificate, client_key=Secret(two.key))
    results = examined(address, tls)
    assert "belong together" in first_failure(results).next_step
    assert "PRIVATE" not in str(results)


class TwoDoors(DevOpenBao):
    """OpenBao with a TLS door for holders of a client certificate alone."""

    def __init__(self, directory: Path, authority: Authority) -> None:
        super().__init__()
        self._config = directory / "tls.hcl"
        self.tls_port = free_port()
        leaf = authority.server(NAME)
        for name, text in {"ca": authority.certificate, "leaf": leaf.certificate, "key": leaf.key}.items():
            (directory / f"{name}.pem").write_text(text)
        self._config.write_text(f"""
            listener "tcp" {{
              address = "127.0.0.1:{self.tls_port}"
              tls_cert_file = "{directory}/leaf.pem"
              tls_key_file = "{directory}/key.pem"
              tls_client_ca_file = "{directory}/ca.pem"
              tls_require_and_verify_client_cert = true
            }}
        """)

    def _launch(self, arguments, home) -> None:
        super()._launch([*arguments, f"-config={self._config}"], home)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, issuer):
    authority = Authority()
    server = TwoDoors(tmp_path_factory.mktemp("tls"), authority)
    try:
        server.start()
    except ConfigurationError as error:
        missing("OpenBao", f"{error.message} ({error.hint})")
    with server.root() as root:
        root.write("sys/auth/jwt", {"type": "jwt"})
        root.write("auth/jwt/config", {"jwks_url": issuer.jwks_url, "bound_issuer": issuer.url})
        role = {"role_type": "jwt", "user_claim": "environmentId", "bound_audiences": [AUDIENCE], "token_ttl": 60}
        root.write("auth/jwt/role/deploy", role)
    yield server, authority
    server.stop()


def test_with_a_client_certificate_the_whole_way_is_ok(guarded, issuer):
    server, authority = guarded
    own = authority.client()
    tls = Tls(None, authority.certificate, own.certificate, Secret(own.key), NAME)
    target = DoctorTarget(address=f"https://127.0.0.1:{server.tls_port}", role="deploy", tls=tls)
    given = ProbeTokens(expired=issuer.token(iat=1, nbf=1, exp=2), login=issuer.token())
    knowledge = Knowledge(operator_token=server.root_token)
    results = {item.check: item for item in diagnose(target, given, knowledge=knowledge, limits=Limits())}
    assert [item for item in results.values() if item.verdict is Verdict.FAILED] == []
    assert results["login"].verdict is Verdict.OK
    assert results["client_certificate"].verdict is Verdict.WARNING  # it ends tomorrow
    assert own.key not in str(results)


def test_without_a_client_certificate_or_with_a_strangers_it_is_told_what_is_missing(guarded):
    server, authority = guarded
    stranger = Authority("strangers").client()
    for shown in ({}, {"client_certificate": stranger.certificate, "client_key": Secret(stranger.key)}):
        tls = Tls(ca_certificates=authority.certificate, server_name=NAME, **shown)
        found = first_failure(examined(f"https://127.0.0.1:{server.tls_port}", tls))
        assert found.check == "server"
        assert "client certificate of an authority that it trusts" in found.next_step


def test_only_the_target_is_contacted(openbao, monkeypatch):
    asked: set[tuple[str, int]] = set()
    connect = socket.socket.connect

    def watched(self, address):
        asked.add(address[:2])
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", watched)
    examined(openbao.address, mount="no-such-mount", secrets=("a/b.c",))
    assert asked == {("127.0.0.1", openbao.port)}


def test_the_certificate_that_is_not_trusted_is_looked_at_and_gets_nothing(tmp_path):
    ca, context = certificates(tmp_path)
    received: list[bytes] = []
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)

        def serve() -> None:
            for _ in range(2):
                with contextlib.suppress(OSError):
                    raw, _address = listener.accept()
                    with raw, context.wrap_socket(raw, server_side=True) as connection:
                        connection.settimeout(2)
                        received.append(connection.recv(1024))
            done.set()

        thread = threading.Thread(target=serve)
        thread.start()
        own = Authority().client()
        tls = Tls(client_certificate=own.certificate, client_key=Secret(own.key))
        results = examined(f"https://127.0.0.1:{listener.getsockname()[1]}", tls)
        assert done.wait(10)
        thread.join()
    assert first_failure(results).check == "tls"
    assert set(received) <= {b""}
    assert isinstance(context, ssl.SSLContext)
    assert ca.exists()


def test_a_proxy_of_the_environment_is_not_used(openbao, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert examined(openbao.address)["server"].verdict is Verdict.OK
    with VaultClient(openbao.address) as client:
        assert client.read("sys/health").status == 200
