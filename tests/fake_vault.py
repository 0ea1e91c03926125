"""As much of a Vault on a socket as a login needs: for moments that a real one cannot be held in, like a login that
takes a second. The real one has tests of its own."""

import json
import threading

from fake_servers import Door, OnASocket
from runpass.ids import new_id


class FakeVault(OnASocket):
    """Context manager. `secrets` are KV version 2 below `secret/`; `refusal` is what a login is answered with."""

    def __init__(self, *, secrets=None, refusal=None, ttl=600, renewable=True):
        super().__init__(_door(self))
        self.secrets = secrets or {}
        self.refusal = refusal
        self.ttl, self.renewable = ttl, renewable
        self.issued: list[str] = []
        self.revoked: list[str] = []
        self.logins: list[dict] = []
        self.login_started = threading.Event()
        self.login_may_end = threading.Event()
        self.login_may_end.set()
        self.changed = threading.Condition()

    def __exit__(self, *_):
        self.login_may_end.set()
        super().__exit__()

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
            "lease_duration": self.ttl,
            "renewable": self.renewable,
            "token_type": "service",
            "entity_id": str(new_id()),
            "metadata": {"role": "deploy"},
        }
        return 200, {"auth": auth}


def _door(vault):
    class VaultDoor(Door):
        def reply(self):
            path, body = self.path.removeprefix("/v1/"), self.body()
            status, content = vault.answer(path, self.headers.get("X-Vault-Token"), body)
            self.send(status, b"" if content is None else json.dumps(content).encode(), "Cache-Control: no-store")

    return VaultDoor
