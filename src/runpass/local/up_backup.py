"""Backup and restore of everything that `runpass up` keeps: server, runner's key, and the embedded OpenBao."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from runpass.clock import Clock
from runpass.errors import ConfigurationError, Conflict, InvalidInput
from runpass.local.openbao_raft import FromFile, InitialRequest, RaftOpenBao, userpass_works
from runpass.local.openbao_snapshot import logged_in, put_snapshot, take_snapshot
from runpass.local.up import OPERATOR, OPERATOR_POLICY, UpOptions, alone, server_values
from runpass.runner.kept_key import FILE_NAME
from runpass.secret import Secret
from runpass.server.db.engine import open_database
from runpass.server.keeping.backing_up import MASTER_KEY, BackedUp, Backup
from runpass.server.keeping.restoring import Contents, place_file, verify_archive
from runpass.server.keeping.sealed_stream import FileKey
from runpass.server.keeping.server_backup import restore_parts
from runpass.server.opening import open_cipher
from runpass.server.settings import ServerSettings, load_settings
from runpass.vault.client import VaultClient

UP: Final = "up"
_SNAPSHOT: Final = "openbao.snapshot"
_PASSWORD: Final = "openbao-operator.password"  # noqa: S105 -- a file's name
_SEAL_KEY: Final = "openbao-seal.key"
_KEYS: Final = ("admin.json", _PASSWORD, _SEAL_KEY)
_RUNNER: Final = "runner.json"


def back_up(options: UpOptions, path: Path, key: FileKey, clock: Clock, actor: str) -> BackedUp:
    """Write a backup of everything. `runpass up` may be running; where it is not, OpenBao is started for the moment."""
    settings = _settings(options)
    if not Path(settings.database_url.removeprefix("sqlite:///")).exists():
        raise ConfigurationError(
            f"there is nothing of runpass up in {options.data}", hint="name it with --data, --keys"
        )
    with _running_openbao(options) as address:
        snapshot = _snapshot(options, address)
    database = open_database(settings.database_url)
    try:
        backup = Backup(database, open_cipher(settings), clock, actor, kind=UP)
        return backup.write(path, key, _files(options, snapshot))
    finally:
        database.close()


def restore(options: UpOptions, path: Path, key: FileKey) -> Contents:
    """Put everything back into two empty directories; `runpass up` then starts as if it had never been away."""
    contents = verify_archive(path, key)
    if contents.manifest.kind != UP:
        raise InvalidInput("this is a backup of a server", hint="leave --up out")
    missing = {MASTER_KEY, _SNAPSHOT, *_KEYS} - contents.files.keys()
    if missing:
        raise InvalidInput(f"the backup lacks {', '.join(sorted(missing))}")
    for directory in (options.data, options.keys):
        if directory.exists() and any(directory.iterdir()):
            raise Conflict(f"the directory {directory} is not empty")
    with alone(options):
        for name in _KEYS:
            place_file(options.keys / name, contents.files[name])
        if _RUNNER in contents.files:
            place_file(options.data / "runner" / FILE_NAME, contents.files[_RUNNER])
        _restore_openbao(options, contents.files[_SNAPSHOT])
        restore_parts(_settings(options), path, key, contents)
    return contents


def _settings(options: UpOptions) -> ServerSettings:
    return load_settings(environment={}, **server_values(options)).settings


def _files(options: UpOptions, snapshot: bytes) -> Iterator[tuple[str, bytes]]:
    for name in (MASTER_KEY, *_KEYS):
        yield name, (options.keys / name).read_bytes()
    runner = options.data / "runner" / FILE_NAME
    if runner.exists():
        yield _RUNNER, runner.read_bytes()
    yield _SNAPSHOT, snapshot


def _password(options: UpOptions) -> Secret:
    return Secret((options.keys / _PASSWORD).read_text(encoding="utf-8"))


@contextmanager
def _running_openbao(options: UpOptions) -> Iterator[str]:
    """Give the address of the OpenBao of a running `up`, or of one that runs just now on the same data."""
    with ExitStack() as stack:
        try:
            stack.enter_context(alone(options))
        except Conflict:
            config = json.loads((options.data / "openbao" / "openbao.json").read_text(encoding="utf-8"))
            yield f"http://{urlsplit(config['api_addr']).netloc}"
            return
        yield stack.enter_context(_openbao(options)).address


def _openbao(options: UpOptions, initialize: tuple[InitialRequest, ...] = ()) -> RaftOpenBao:
    return RaftOpenBao(
        options.data / "openbao",
        seal_key=options.keys / _SEAL_KEY,
        initialize=initialize,
        is_set_up=userpass_works(OPERATOR, _password(options)),
    )


def _snapshot(options: UpOptions, address: str) -> bytes:
    with VaultClient(address) as client:
        token = logged_in(client, OPERATOR, _password(options))
        try:
            return take_snapshot(address, token)
        finally:
            client.with_token(token).write("auth/token/revoke-self")


def _restore_openbao(options: UpOptions, snapshot: bytes) -> None:
    """Make an OpenBao with the backup's seal key and the operator's login, and let it take the snapshot."""
    user = {"token_policies": [OPERATOR], "token_ttl": "5m", "password": FromFile(options.keys / _PASSWORD)}
    first = (
        InitialRequest("operator-policy", f"sys/policies/acl/{OPERATOR}", {"policy": OPERATOR_POLICY}),
        InitialRequest("operator-login", "sys/auth/userpass", {"type": "userpass"}),
        InitialRequest("operator", f"auth/userpass/users/{OPERATOR}", user),
    )
    with _openbao(options, first) as fresh, VaultClient(fresh.address) as client:
        put_snapshot(fresh.address, logged_in(client, OPERATOR, _password(options)), snapshot)
    with _openbao(options):  # it opens what it was given, or says why it cannot
        pass
