"""`runpass up`: server, runner and OpenBao on this machine, for keeps. A second start finds everything as it was.

Two directories: `data` holds what is encrypted, `keys` what opens it, so that a copy of one is useless without the
other. OpenBao sets itself up at its first start and revokes its root token; nobody but the operator, with the
password in `keys`, has a login of any power there. The server holds no OpenBao token.
"""

import fcntl
import hashlib
import json
import os
import secrets
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, Final
from uuid import UUID

from runpass.errors import ConfigurationError, Conflict
from runpass.local.admin import Admin
from runpass.local.openbao import find_binary, install_tool
from runpass.local.openbao_raft import SEAL_KEY_BYTES, FromFile, InitialRequest, RaftOpenBao, userpass_works
from runpass.local.programs import Program, server_is_ready, write_private
from runpass.local.progress import Progress
from runpass.local.stage import MOUNT, ROLE, record_roles
from runpass.protocol.registration import Isolation
from runpass.runner.isolation import detect
from runpass.runner.kept_key import FILE_NAME
from runpass.runner.settings import DEFAULT_UID_BASE
from runpass.secret import Secret
from runpass.server.opening import open_parts, prepare_directory, secret_file
from runpass.server.settings import load_settings
from runpass.server.tenancy.founding import found_organization
from runpass.vault.desired import KV_PATH, Guide, guide, requests
from runpass.vault.sweeper import with_sweeper

ORGANIZATION: Final = "default"
PROJECT: Final = "default"
CREDENTIAL: Final = "embedded OpenBao"
OPERATOR: Final = "operator"
OPERATOR_POLICY: Final = (
    'path "*" {\n  capabilities = ["create", "read", "update", "patch", "delete", "list", "sudo"]\n}\n'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """What the operator decides."""

    data: Path
    keys: Path
    port: int = 8440
    openbao_port: int = 8200
    capacity: int = 4
    allow_unisolated: bool = False


def default_directories() -> tuple[Path, Path]:
    """Give where data and keys stand by default: the system's places as root, the user's own otherwise."""
    if os.geteuid() == 0:
        return Path("/var/lib/runpass"), Path("/etc/runpass")
    return Path.home() / ".local/share/runpass", Path.home() / ".config/runpass"


def run_up(options: UpOptions) -> int:
    """Start everything, wait for SIGTERM or Ctrl-C, stop everything; give the exit code."""
    progress = Progress(quiet=False)
    stop = _stop_event()
    with ExitStack() as stack:
        stack.enter_context(alone(options))
        programs = _start(stack, progress, options)
        _tell(progress, options)
        while not stop.wait(0.2):
            for program in programs:
                if program.has_ended:
                    raise ConfigurationError(f"the {program.name} ended", hint=f"its log is {program.log}")
        progress.heading("Stopping")
    return 0


def _start(stack: ExitStack, progress: Progress, options: UpOptions) -> list[Program]:
    _check_ports(options)
    with progress.step("server", "Start the server: issuer and control plane") as say:
        admin = _found(options)
        server = stack.enter_context(Program("server", server_values(options), options.data / "etc"))
        url = f"http://127.0.0.1:{options.port}"
        server.wait_until(server_is_ready(url))
        api = Admin(url, admin["organizationId"], admin["apiKeyId"], Secret(admin["apiKeySecret"]))
        stack.callback(api.close)
        say(f"{url}, data in {options.data}, keys in {options.keys}")
    with progress.step("openbao", "Start OpenBao; it unseals itself, and sets itself up the first time") as say:
        openbao = stack.enter_context(_openbao(options, api))
        say(f"{openbao.address}; no root token exists")
    with progress.step("runner", "Start the runner") as say:
        detected = detect(DEFAULT_UID_BASE)
        if detected.kind is Isolation.NONE and not options.allow_unisolated:
            say(f"NO JOBS ARE RUN. {detected.why} Give --allow-unisolated to run them all the same.")
            return [server]
        runner = _runner(stack, options, api)
        say(detected.why)
    return [server, runner]


def _check_ports(options: UpOptions) -> None:
    """Raise before anything is made when a port is taken: whoever answers there would be told our API key."""
    wanted = {
        options.port: "--port",
        options.openbao_port: "--openbao-port",
        options.openbao_port + 1: "--openbao-port, which takes the next one too",
    }
    for port, option in wanted.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise ConfigurationError(
                    f"port {port} is used by another program", hint=f"choose one with {option}"
                ) from error


def server_values(options: UpOptions) -> dict[str, Any]:
    """Give the settings of the server."""
    return {
        "data_dir": str(options.data / "server"),
        "master_key_file": str(options.keys / "master.key"),
        "listen_port": options.port,
    }


def _found(options: UpOptions) -> dict[str, str]:
    """Give the admin's API key, from the file of the first start."""
    file = options.keys / "admin.json"
    if file.exists():
        return _private_json(file)
    parts = open_parts(load_settings(environment={}, **server_values(options)).settings)
    try:
        founded = found_organization(parts.database, ORGANIZATION, parts.clock)
    finally:
        parts.close()
    admin = {
        "organizationId": str(founded.organization.id),
        "apiKeyId": founded.admin_key.key.api_key_id,
        "apiKeySecret": founded.admin_key.secret.reveal(),
    }
    write_private(file, json.dumps(admin))
    return admin


def _openbao(options: UpOptions, api: Admin) -> RaftOpenBao:
    password_file = options.keys / "openbao-operator.password"
    if not password_file.exists():
        write_private(password_file, secrets.token_urlsafe(24))
    seal_key = options.keys / "openbao-seal.key"
    if seal_key.exists():
        secret_file(seal_key, SEAL_KEY_BYTES, "seal key of OpenBao")
    initial = _first_start(options, api, password_file)
    password = Secret(password_file.read_text(encoding="utf-8"))
    return RaftOpenBao(
        options.data / "openbao",
        seal_key=seal_key,
        port=options.openbao_port,
        initialize=initial,
        is_set_up=userpass_works(OPERATOR, password),
    )


def _first_start(options: UpOptions, api: Admin, password_file: Path) -> list[InitialRequest]:
    """Give what OpenBao does at its first start: the guide's Vault side, then the operator's login."""
    project = api.find("/projects", PROJECT) or api.project(PROJECT)
    address = f"http://127.0.0.1:{options.openbao_port}"
    credential = api.find("/credentials", CREDENTIAL) or api.credential(CREDENTIAL, address, ROLE, MOUNT)
    api.assign(credential, project)
    settings = load_settings(environment={}, **server_values(options)).settings
    facts = Guide(
        issuer=settings.issuer_url,
        jwks_url=settings.jwks_url,
        audience=settings.audience,
        organization_id=UUID(api.organization_id),
        credential_id=UUID(credential),
        project_ids=(UUID(project),),
        role_name=ROLE,
        mount=MOUNT,
        kv_path=KV_PATH,
    )
    state = with_sweeper(guide(facts), facts.organization_id)
    record_roles(api, credential, state)
    steps = [InitialRequest(f"guide-{number}", item.path, item.data) for number, item in enumerate(requests(state))]
    user = {"token_policies": [OPERATOR], "token_ttl": "1h", "password": FromFile(password_file)}
    return [
        *steps,
        InitialRequest("operator-policy", f"sys/policies/acl/{OPERATOR}", {"policy": OPERATOR_POLICY}),
        InitialRequest("operator-login", "sys/auth/userpass", {"type": "userpass"}),
        InitialRequest("operator", f"auth/userpass/users/{OPERATOR}", user),
    ]


def _runner(stack: ExitStack, options: UpOptions, api: Admin) -> Program:
    state = options.data / "runner"
    outside = _outside_directory()
    values: dict[str, Any] = {
        "url": f"http://127.0.0.1:{options.port}",
        "name": "embedded",
        "state_dir": state,
        "work_dir": outside / f"work-{_short_name(options.data)}",
        "tool_path": (install_tool(find_binary(), outside / "tools").parent,),
        "capacity": options.capacity,
        "allow_unisolated": options.allow_unisolated,
        "drain_seconds": 5.0,
    }
    token_file = options.data / "etc" / "join-token"
    if not (state / FILE_NAME).exists():
        write_private(token_file, api.join_token(uses=1).reveal())
        values["join_token_file"] = token_file
    runner = stack.enter_context(Program("runner", values, options.data / "etc"))
    runner.wait_until((state / FILE_NAME).exists)
    token_file.unlink(missing_ok=True)
    return runner


def _outside_directory() -> Path:
    """Give where workspaces and tools stand: other users must pass through it, so it is not below `data`."""
    directory = Path(f"/var/tmp/runpass-{os.geteuid()}")  # noqa: S108 -- made here, and refused unless it is ours
    directory.mkdir(mode=0o711, exist_ok=True)
    if directory.is_symlink() or directory.lstat().st_uid != os.geteuid():
        raise ConfigurationError(f"{directory} belongs to somebody else")
    directory.chmod(0o711)
    return directory


def _short_name(directory: Path) -> str:
    return hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:12]


def _private_json(file: Path) -> dict[str, str]:
    if file.stat().st_mode & 0o077:
        raise ConfigurationError(f"the file {file} is open to others", hint=f"run: chmod 0600 {file}")
    values: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return values


@contextmanager
def alone(options: UpOptions) -> Iterator[None]:
    """Hold both directories alone, with modes that keep others out."""
    os.umask(0o077)
    prepare_directory(options.data)
    prepare_directory(options.keys)
    with (options.data / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Conflict(f"another runpass up is running on {options.data}") from error
        yield


def _stop_event() -> Event:
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _tell(progress: Progress, options: UpOptions) -> None:
    address = f"http://127.0.0.1:{options.openbao_port}"
    password = options.keys / "openbao-operator.password"
    progress.heading("Ready. To use it from another terminal:")
    progress.plain(f'export PATH="{Path(sys.executable).parent}:$PATH"')
    progress.plain(f"export RUNPASS_URL=http://127.0.0.1:{options.port} RUNPASS_API_KEY_FILE={options.keys}/admin.json")
    progress.plain("runpass project list")
    progress.heading("To look at it in a browser: the web console")
    progress.plain(f"http://127.0.0.1:{options.port}/console/  signs in with apiKeyId and apiKeySecret of that file")
    progress.heading("To store a secret in OpenBao, as its operator:")
    progress.plain(f"export BAO_ADDR={address}")
    progress.plain(f"bao login -method=userpass username={OPERATOR} password=- < {password}")
    progress.plain(f"bao kv put -mount={KV_PATH} app password=...")
    progress.heading("Ctrl-C stops everything; the next start finds it again.")
