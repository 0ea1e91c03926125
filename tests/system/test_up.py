"""`runpass up`: started, used, stopped, started again: everything is there, secrets included."""

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from programs import Program, clean_environment, run_cli, wait_until
from runpass.local.openbao import free_port
from runpass.secret import Secret
from runpass.vault.client import VaultClient


class Up:
    def __init__(self, directory: Path):
        self.data, self.keys = directory / "data", directory / "keys"
        self.port, self.openbao_port = free_port(), free_port()
        self.directory = directory

    @contextmanager
    def running(self, name: str) -> Iterator[Program]:
        places = ["--data", os.path.relpath(self.data), "--keys", os.path.relpath(self.keys)]  # as people write them
        arguments = ["up", *places, "--allow-unisolated"]
        ports = ["--port", str(self.port), "--openbao-port", str(self.openbao_port)]
        program = Program([*arguments, *ports], environment=clean_environment(), log=self.directory / f"{name}.log")
        try:
            wait_until(lambda: "Ctrl-C" in program.output or program.exit_code is not None, "up is ready")
            assert program.exit_code is None, program.output
            yield program
        finally:
            program.stop()

    def cli(self, *arguments: str) -> str:
        url = f"http://127.0.0.1:{self.port}"
        return run_cli(*arguments, environment=clean_environment(url=url, api_key_file=self.keys / "admin.json")).stdout

    @contextmanager
    def operator(self) -> Iterator[VaultClient]:
        password = Secret((self.keys / "openbao-operator.password").read_text())
        with VaultClient(f"http://127.0.0.1:{self.openbao_port}") as client:
            login = client.write("auth/userpass/login/operator", {"password": password})
            yield client.with_token(Secret(login.auth["client_token"]))


@pytest.mark.timeout(400)
def test_up_keeps_everything_over_a_restart_and_in_a_backup(tmp_path: Path):
    tmp_path.chmod(0o711)
    up = Up(tmp_path)
    command = 'test "$(bao kv get -mount=secrets-for-runpass -field=password app)" = "$DB" && echo read it'
    with up.running("first") as program:
        with up.operator() as operator:
            operator.write("secrets-for-runpass/data/app", {"data": {"password": "kept-over-a-restart"}})
            assert _root_tokens(operator) == []
        up.cli("template", "create", "--name", "shell", "--command", command)
        up.cli("template", "attach", "shell", "default")
        up.cli("variable", "set", "DB", "--value", "${vault:secrets-for-runpass/app.password}", "--project", "default")
        made = up.cli(
            "environment",
            "create",
            "--name",
            "first",
            "--project",
            "default",
            "--template",
            "shell",
            "--deploy",
            "--json",
        )
        environment = json.loads(made)["id"]
        up.cli("deployment", "wait", json.loads(made)["latestDeploymentLogId"])
        _everything_is_private(up)
        second = run_cli("up", "--data", str(up.data), "--keys", str(up.keys), check=False)
        assert "another runpass up is running" in second.stderr
        keys = _jwks(up)
        assert program.exit_code is None
    with up.running("second"):
        again = up.cli("deployment", "start", environment, "--wait", "--json")
        assert json.loads(again)["status"] == "SUCCESS"
        assert "read it" in up.cli("deployment", "log", json.loads(again)["id"])
        assert _jwks(up) == keys
        with up.operator() as operator:
            stored = operator.read("secrets-for-runpass/data/app").data["data"]
            assert stored == {"password": "kept-over-a-restart"}
            assert _root_tokens(operator) == []
        _backed_up(up)
    _deploys_from_a_backup(up, tmp_path / "restored", environment, keys)


def _backed_up(up: Up) -> None:
    """Back up while everything runs."""
    key = up.directory / "backup.key"
    key.touch(mode=0o600)
    key.write_text("5a" * 32)
    places = ("--up", "--data", str(up.data), "--keys", str(up.keys), "--key-file", str(key))
    assert "bytes, of revision" in run_cli("backup", str(up.directory / "backup"), *places).stdout


def _deploys_from_a_backup(up: Up, directory: Path, environment: str, keys: dict) -> None:
    """Restore into empty directories: server and OpenBao know what they knew, and a deployment gets its secret."""
    directory.mkdir(mode=0o711)
    restored = Up(directory)
    restored.port, restored.openbao_port = up.port, up.openbao_port
    key = ("--key-file", str(up.directory / "backup.key"))
    places = ("--up", "--data", str(restored.data), "--keys", str(restored.keys))
    run_cli("restore", str(up.directory / "backup"), *key, *places)
    for path in [restored.data, restored.keys, *restored.data.rglob("*"), *restored.keys.rglob("*")]:
        assert stat.S_IMODE(path.lstat().st_mode) & 0o077 == 0, path
    with restored.running("restored"):
        deployed = restored.cli("deployment", "start", environment, "--wait", "--json")
        assert json.loads(deployed)["status"] == "SUCCESS"
        assert "read it" in restored.cli("deployment", "log", json.loads(deployed)["id"])
        assert keys["keys"][0] not in _jwks(restored)["keys"]
        with restored.operator() as operator:
            assert _root_tokens(operator) == []


@pytest.mark.parametrize("name", ["data", "keys"])
def test_a_directory_that_others_can_read_stops_the_start(tmp_path: Path, name: str):
    up = Up(tmp_path)
    (tmp_path / name).mkdir(mode=0o755)
    (tmp_path / name).chmod(0o755)
    done = run_cli("up", "--data", str(up.data), "--keys", str(up.keys), check=False)
    assert done.returncode != 0
    assert "is open to others" in done.stderr
    assert "chmod 0700" in done.stderr


def _root_tokens(operator: VaultClient) -> list[str]:
    accessors = operator.list("auth/token/accessors").data["keys"]
    found = [operator.write("auth/token/lookup-accessor", {"accessor": item}).data for item in accessors]
    return [item["path"] for item in found if "root" in item["policies"]]


def _jwks(up: Up) -> dict:
    return httpx2.get(f"http://127.0.0.1:{up.port}/.well-known/jwks.json", trust_env=False).json()


def _everything_is_private(up: Up) -> None:
    """No file is open to others, and no key stands in any child's environment, arguments or in the data."""
    for path in [up.data, up.keys, *up.data.rglob("*"), *up.keys.rglob("*")]:
        assert stat.S_IMODE(path.lstat().st_mode) & 0o077 == 0, path
    secrets = [(up.keys / name).read_bytes() for name in ("master.key", "openbao-seal.key")]
    secrets.append((up.keys / "openbao-operator.password").read_bytes())
    secrets.append(json.loads((up.keys / "admin.json").read_text())["apiKeySecret"].encode())
    spellings = [spelling for secret in secrets for spelling in (secret, secret.hex().encode())]
    for process in _processes_of(up):
        for name in ("environ", "cmdline"):
            content = (process / name).read_bytes()
            assert not any(secret in content for secret in spellings), f"{process}/{name}"
    for path in up.data.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(secret in content for secret in spellings), path


def _processes_of(up: Up) -> list[Path]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(up.data).encode() in (process / "cmdline").read_bytes() and int(process.name) != os.getpid():
                found.append(process)
        except OSError:
            continue
    assert len(found) >= 3, "server, runner and OpenBao were not found"
    return found
