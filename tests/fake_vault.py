"""As much of a Vault on a socket as a login needs: for moments that a real one cannot be held in, like a login that
takes a second. The real one has tests of its own."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from runpass.ids import new_id


class FakeVault:
    """Context manager. `secrets` are KV version 2 below `secret/`; `refusal` is what a login is answered with."""

    def __init__(self, *, secrets=None, refusal=None):
        self.secrets = secrets or {}
        self.refusal = refusal
        self.issued: list[str] = []
        self.revoked: list[str] = []
        self.logins: list[dict] = []
        self.login_started = threading.Event()
        self.login_may_end = threading.Event()
        self.login_may_end.set()
        self.changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.login_may_end.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def wait_all_revoked(self, seconds=15):
        with self.changed:
            done = self.changed.wait_for(lambda: self.issued and set(self.issued) == set(self.revoked), seconds)
        assert done, f"issued {len(self.issued)}, revoked {len(self.revoked)}"

    def answer(self, path, token, body):
        if path.endswith("/login"):
            return self._login(body)
        if token not in self.issued or token in self.revoked:
            return 403, {"errors": ["permission denied"]}
        if path == "auth/token/revoke-self":
            with self.changed:
                self.revoked.append(token)
                self.changed.notify_all()
            return 204, None
        if path.startswith("sys/internal/ui/mounts/"):
            return 200, {"data": {"path": "secret/", "type": "kv", "options": {"version": "2"}}}
        name = path.removeprefix("secret/data/")
        if name in self.secrets:
            return 200, {"data": {"data": self.secrets[name], "metadata": {"version": 1}}}
        return 404, {"errors": []}

    def _login(self, body):
        self.login_started.set()
        self.login_may_end.wait(20)
        self.logins.append(json.loads(body))
        if self.refusal is not None:
            return 400, {"errors": [self.refusal]}
        token = f"s.{new_id().hex}"
        self.issued.append(token)
        auth = {
            "client_token": token,
            "accessor": new_id().hex,
            "policies": ["default", "deploy"],
            "lease_duration": 600,
            "renewable": True,
            "token_type": "service",
            "entity_id": str(new_id()),
            "metadata": {"role": "deploy"},
        }
        return 200, {"auth": auth}


def _handler(vault):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = self.path.removeprefix("/v1/")
            status, content = vault.answer(path, self.headers.get("X-Vault-Token"), body)
            raw = b"" if content is None else json.dumps(content).encode()
            head = f"HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
            if status != 204:
                head += f"Content-Length: {len(raw)}\r\n"
            self.wfile.write(head.encode() + b"\r\n" + raw)

        do_POST = do_GET  # noqa: N815 -- the base class's names
        do_PUT = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

        def handle(self):
            with contextlib.suppress(ConnectionError):  # the runner was killed, as some tests do
                super().handle()

    return Handler
