import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from fake_servers import answering, http
from runpass.errors import ConfigurationError
from runpass.local.openbao import DevOpenBao, free_port
from runpass.local.openbao_raft import FromFile, InitialRequest, RaftOpenBao, userpass_works
from runpass.secret import Secret
from runpass.vault.errors import LoginRefused, PolicyDenied, RequestRefused, TokenInvalid, VaultFailure

PASSWORD = Secret("operator-password-canary")
OPERATOR = 'path "auth/jwt/*" { capabilities = ["create", "read", "update", "list"] }'


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_dev_server_serves_kv2_and_leaves_nothing_behind():
    with DevOpenBao() as bao:
        pid = bao.pid
        assert is_running(pid)
        with bao.root() as root:
            root.write("secret/data/x", {"data": {"a": "1"}})
            assert root.read("secret/data/x").data["data"] == {"a": "1"}
    assert bao.pid is None
    assert not is_running(pid)
    bao.stop()
    with pytest.raises(ConfigurationError):
        _ = bao.root_token


def test_the_root_token_is_in_no_argument_no_environment_and_no_file(openbao):
    token = openbao.root_token.reveal()
    process = Path(f"/proc/{openbao.pid}")
    if not process.exists():
        pytest.skip("no /proc here")
    assert token.encode() not in (process / "cmdline").read_bytes()
    environment = (process / "environ").read_bytes()
    assert token.encode() not in environment
    assert {entry.split(b"=")[0] for entry in environment.split(b"\0") if entry} <= {
        b"HOME",
        b"PATH",
        b"LC_ALL",
        b"PWD",
    }
    home = dict(entry.split(b"=", 1) for entry in environment.split(b"\0") if entry)[b"HOME"]
    assert list(Path(os.fsdecode(home)).iterdir()) == []
    assert token not in "".join(openbao._child.last_lines)  # noqa: SLF001 -- what an error would quote


def test_it_runs_in_a_process_group_of_its_own(openbao):
    assert os.getpgid(openbao.pid) == openbao.pid != os.getpgid(0)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_when_whoever_started_it_is_killed(how, tmp_path):
    program = """
        import time
        from runpass.local.openbao import DevOpenBao
        bao = DevOpenBao()
        bao.start()
        print(bao.pid, flush=True)
        time.sleep(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    # Who is killed cannot tidy up: its empty directory goes where pytest tidies up.
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as starter:
        pid = int(starter.stdout.readline())
        assert is_running(pid)
        starter.send_signal(how)
    pause = threading.Event()
    for _ in range(500):
        if not is_running(pid):
            return
        pause.wait(0.01)
    pytest.fail("it still runs")


def test_a_port_that_is_taken_is_told_even_if_a_vault_answers_there():
    with answering(http(200, '{"initialized": true, "sealed": false}')) as other:
        bao = DevOpenBao(port=other.port)
        with pytest.raises(ConfigurationError, match="ended before") as caught:
            bao.start()
    assert "address already in use" in caught.value.hint
    assert bao.pid is None


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    directory = tmp_path_factory.mktemp("kept")
    password = directory / "password"
    password.write_text(PASSWORD.reveal())
    requests = (
        InitialRequest("enable-jwt", "sys/auth/jwt", {"type": "jwt"}),
        InitialRequest("policy", "sys/policies/acl/operator", {"policy": OPERATOR}),
        InitialRequest("enable-userpass", "sys/auth/userpass", {"type": "userpass"}),
        InitialRequest(
            "operator",
            "auth/userpass/users/operator",
            {"token_policies": ["operator"], "password": FromFile(password)},
        ),
    )

    def again() -> RaftOpenBao:
        works = userpass_works("operator", PASSWORD)
        return RaftOpenBao(directory / "bao", initialize=requests, is_set_up=works)

    return again


def test_a_kept_openbao_sets_itself_up_has_no_root_and_comes_back(kept):
    with kept() as bao, bao.client() as client:
        token = client.write("auth/userpass/login/operator", {"password": PASSWORD}).auth["client_token"]
        operator = client.with_token(Secret(token))
        operator.write("auth/jwt/role/r", {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["a"]})
        for path in ("sys/auth", "sys/policies/acl/root", "auth/token/accessors"):
            with pytest.raises(PolicyDenied):
                operator.read(path)
        with pytest.raises(TokenInvalid):
            client.read("sys/auth")
        # Nobody can make a root token: there is no root token, and no key share to make one with.
        with pytest.raises(VaultFailure):
            operator.write("auth/token/create", {"policies": ["root"]})
        with pytest.raises(RequestRefused):
            client.write("auth/userpass/login/operator", {"password": Secret("wrong")})
        directory = bao.directory
    config = (directory / "openbao.json").read_text()
    assert PASSWORD.reveal() not in config
    assert json.loads(config)["ui"] is False
    assert {stat.S_IMODE(path.stat().st_mode) for path in (directory, directory / "raft")} == {0o700}
    for name in ("openbao.json", "seal.key", "raft/vault.db"):
        assert stat.S_IMODE((directory / name).stat().st_mode) == 0o600
    with kept() as bao, bao.client(Secret(token)) as operator:
        assert operator.read("auth/jwt/role/r").data["user_claim"] == "sub"


def test_data_without_its_seal_key_is_not_started(tmp_path):
    (tmp_path / "raft").mkdir()
    (tmp_path / "raft" / "vault.db").write_bytes(b"x")
    with pytest.raises(ConfigurationError, match="seal key"):
        RaftOpenBao(tmp_path).start()


def test_free_ports_are_free():
    assert 1024 <= free_port() < 65536


def test_login_refusals_are_vault_failures():
    assert issubclass(LoginRefused, VaultFailure)
