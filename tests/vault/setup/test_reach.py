"""How the commands reach a Vault: through a proxy, with a client certificate; and what they say when none answers."""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from declarations import as_toml, minimal
from fake_servers import answering, certificates, http
from programs import RUNPASS, clean_environment
from runpass.cli import exits
from runpass.cli.main import app
from runpass.secret import Secret
from runpass.vault.client import VaultClient
from runpass.vault.errors import AddressInvalid, TlsFailed, Unreachable
from runpass.vault.transport import Tls


class Proxy:
    """An HTTP proxy: forwards what is in the clear, tunnels what is not. `on_write` says whether a POST is
    lost on the way."""

    def __init__(self) -> None:
        self.targets: list[str] = []
        self.writes = 0
        self.on_write = lambda _number: False
        self.address = ""


@contextmanager
def proxy() -> Iterator[Proxy]:
    found = Proxy()

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            found.targets.append(self.path)
            if self.command == "POST" and "capabilities-self" not in self.path:
                found.writes += 1
                if found.on_write(found.writes):
                    self.close_connection = True
                    return
            parts = urlsplit(self.path)
            upstream = HTTPConnection(parts.hostname, parts.port, timeout=10)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name: value for name, value in self.headers.items() if name.lower() != "proxy-connection"}
            upstream.request(self.command, parts.path, body, headers)
            answer = upstream.getresponse()
            content = answer.read()
            head = f"HTTP/1.1 {answer.status} X\r\nContent-Length: {len(content)}\r\n\r\n"
            self.wfile.write((head if answer.status != 204 else "HTTP/1.1 204 X\r\n\r\n").encode() + content)
            upstream.close()

        do_POST = do_LIST = do_GET  # noqa: N815 -- the base class's names

        def do_CONNECT(self) -> None:
            found.targets.append(self.path)
            host, _, port = self.path.partition(":")
            with socket.create_connection((host, int(port)), 10) as upstream:
                self.wfile.write(b"HTTP/1.1 200 X\r\n\r\n")
                back = threading.Thread(target=_pump, args=(upstream, self.connection), daemon=True)
                back.start()
                _pump(self.connection, upstream)
                back.join(5)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # a client that was killed in the middle
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    found.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return


@pytest.fixture
def declared(tmp_path, issuer):
    file = tmp_path / "vault.toml"
    file.write_text(as_toml(minimal(issuer)))
    return file


@pytest.fixture
def command(declared, openbao, tmp_path):
    """The words of a command about the declared state, with the operator's token in a file."""
    token = tmp_path / "operator-token"
    token.write_text(openbao.root_token.reveal() + "\n")
    return lambda name, *more: ["vault", name, "--file", str(declared), "--token-file", str(token), *more]


def run(arguments):
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})


@pytest.mark.parametrize("writes", [1, 3, 5])
def test_an_apply_that_was_killed_half_way_is_completed_by_the_next(writes, command, openbao):
    with proxy() as way:
        words = command("apply", "--address", openbao.address, "--proxy", way.address)
        process = subprocess.Popen(
            [str(RUNPASS), *words], env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

        def end(number: int) -> bool:
            if number > writes:
                os.kill(process.pid, signal.SIGKILL)
            return number > writes

        way.on_write = end
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
        way.on_write = lambda _number: False
        assert any("/v1/sys/auth" in target for target in way.targets)
    rest = run(command("apply", "--address", openbao.address))
    assert rest.exit_code == 0, rest.output
    assert 0 < rest.stdout.count(": done\n") < 7
    assert run(command("plan", "--address", openbao.address)).stdout == "nothing to change\n"


def test_a_proxy_that_is_not_there_is_named_as_no_connection(command, openbao):
    refused = run(command("plan", "--address", openbao.address, "--proxy", "http://127.0.0.1:1"))
    assert refused.exit_code == exits.VAULT
    assert "no connection to" in refused.stderr


@pytest.mark.parametrize("address", ["socks5://127.0.0.1:1", "http://user:canary@proxy:1", "http://proxy:1/path", "x"])
def test_a_proxy_that_could_not_be_meant_is_refused_and_not_repeated(address, command, openbao):
    refused = run(command("plan", "--address", openbao.address, "--proxy", address))
    assert refused.exit_code == exits.VAULT
    assert "the proxy is not one" in refused.stderr
    assert "canary" not in refused.stderr


def test_tls_goes_through_the_proxy_and_is_checked_for_the_vaults_name(tmp_path):
    ca, tls = certificates(tmp_path)
    body = '{"data": {"x": 1}}'
    with answering(http(200, body), tls=tls) as server, proxy() as way:
        address = f"https://127.0.0.1:{server.port}"
        with VaultClient(address, token=Secret("s.canary"), tls=Tls(ca, proxy=way.address)) as client:
            assert client.read("sys/x").data == {"x": 1}
        assert way.targets == [f"127.0.0.1:{server.port}"]
        with (
            VaultClient(address, tls=Tls(ca, server_name="other.test", proxy=way.address)) as client,
            pytest.raises(TlsFailed),
        ):
            client.read("sys/x")
        with VaultClient(address, tls=Tls(proxy=way.address)) as client, pytest.raises(TlsFailed):
            client.read("sys/x")


def test_a_proxy_that_refuses_is_told():
    with answering(http(403, "no")) as way:
        with (
            VaultClient("https://127.0.0.1:1", tls=Tls(proxy=way.address)) as client,
            pytest.raises(Unreachable) as said,
        ):
            client.read("sys/x")
        assert "the proxy does not connect" in said.value.message
    with pytest.raises(AddressInvalid):
        VaultClient("https://127.0.0.1:1", tls=Tls(proxy="https://127.0.0.1:1"))


ANSWERS = {
    "HTML": (http(200, "<html><body>" + "canary " * 500), "an HTML page"),
    "half": (b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"data": {', "broke off"),
    "nothing": (b"", "broke off"),
    "502": (http(502, "<html>bad gateway canary</html>"), "502"),
    "500": (http(500, '{"errors": ["internal error"]}'), "500"),
    "503": (http(503, '{"errors": ["Vault is sealed"]}'), "is sealed"),
    "429": (http(429, "canary"), "rate limit"),
    "redirect": (http(307, "", "Location: http://elsewhere.test/v1/x?canary"), "redirects to elsewhere.test"),
    "no JSON object": (http(200, "[1, 2]"), "not Vault's JSON"),
    "garbage": (b"\x00\x01\x02 canary\r\n\r\n", "broke off"),
    "huge": (http(200, b"x" * 9_000_000), "larger than"),
}


@pytest.mark.parametrize("what", ANSWERS)
@pytest.mark.parametrize("name", ["plan", "apply", "drift"])
def test_an_answer_that_no_vault_gives_is_a_short_sentence(name, what, command):
    answer, said = ANSWERS[what]
    with answering(answer) as server:
        refused = run(command(name, "--address", server.address, "--timeout", "5"))
    assert refused.exit_code == exits.VAULT, refused.output
    assert said in refused.stderr
    assert len(refused.stderr) < 1200
    assert "canary" not in refused.stderr
    assert refused.stdout == ""


def test_a_vault_that_says_nothing_is_waited_for_no_longer_than_said(command):
    with answering(b"", hold=True) as server:
        refused = run(command("plan", "--address", server.address, "--timeout", "0.3"))
    assert refused.exit_code == exits.VAULT
    assert "did not answer in time" in refused.stderr


def test_half_of_a_client_certificate_is_refused(command, tmp_path):
    refused = run(command("plan", "--address", "https://127.0.0.1:1", "--client-certificate-file", str(tmp_path / "x")))
    assert refused.exit_code == exits.USAGE
    assert "belong together" in refused.stderr


def test_there_is_no_way_to_skip_the_check_of_a_certificate():
    for name in ("plan", "apply", "drift", "setup"):
        text = run(["vault", name, "--help"]).stdout.lower()
        assert not any(word in text for word in ("insecure", "skip-verify", "no-verify", "tls-skip"))
