"""`runpass keys reencrypt` beside a running server: killed, begun again, and the old key taken away."""

import json
import signal
from pathlib import Path
from uuid import UUID

from sqlalchemy import select

from programs import Founded, Program, RunningServer, clean_environment, run_cli, start_server
from runpass.ids import OrganizationId
from runpass.server.db.engine import open_database
from runpass.server.db.master_key import needed_keys
from runpass.server.keeping.sealed_columns import SEALED_COLUMNS
from runpass.server.opening import open_parts
from runpass.server.settings import ServerSettings
from runpass.server.variables.model import VariableScope
from runpass.server.variables.store import list_variables

VALUES = 60


def keys_in(database_file: Path) -> dict[str, int]:
    """Count the sealed values by the id of their key."""
    database = open_database(f"sqlite:///{database_file}")
    found: dict[str, int] = {}
    with database.read() as tx:
        for item in SEALED_COLUMNS:
            for value in tx.execute(select(item.column).where(item.column.is_not(None))).scalars():
                found[value[1:5].hex()] = found.get(value[1:5].hex(), 0) + 1
    database.close()
    return found


def is_being_changed(database_file: Path) -> bool:
    """Whether the database says that it needs two keys."""
    database = open_database(f"sqlite:///{database_file}")
    with database.read() as tx:
        needed = needed_keys(tx)
    database.close()
    return needed is not None and needed.left is not None


def save(server: RunningServer, admin: Founded, *names: str) -> None:
    """Save sensitive variables."""
    place = {"organizationId": admin.organization_id, "scope": "GLOBAL"}
    body = [{**place, "name": name, "value": f"value of {name}", "isSensitive": True} for name in names]
    with server.http(admin) as http:
        answer = http.post("/api/configuration", json=body)
    assert answer.is_success, answer.text


def test_a_new_master_key_while_the_server_runs(tmp_path: Path):
    old, new = tmp_path / "old.key", tmp_path / "new.key"
    for number, file in enumerate((old, new)):
        file.touch(mode=0o600)
        file.write_bytes(bytes([number]) * 32)
    data_dir = tmp_path / "data"
    database = data_dir / "runpass.db"
    run_cli("init", "--organization", "first", environment=clean_environment(data_dir=data_dir, master_key_file=old))
    missing = clean_environment(data_dir=data_dir, master_key_file=tmp_path / "none", previous_master_key_file=old)
    assert "start every server with it first" in run_cli("keys", "reencrypt", environment=missing, check=False).stderr

    both = {"master_key_file": new, "previous_master_key_file": old}
    command = clean_environment(data_dir=data_dir, **both)
    with start_server(tmp_path, data_dir=data_dir, **both) as server:
        admin = server.found("acme")
        save(server, admin, *(f"N{number}" for number in range(VALUES)))
        (old_id,) = keys_in(database)
        killed = Program(["keys", "reencrypt"], environment=command, log=tmp_path / "killed.log")
        killed.wait_until(lambda: is_being_changed(database), "it has begun")  # which it goes on with for seconds
        killed.send(signal.SIGKILL)
        assert killed.wait() == -signal.SIGKILL
        save(server, admin, "LATE")
        done = json.loads(run_cli("keys", "reencrypt", "--json", environment=command).stdout)
        assert (done["finished"], done["corrupt"], done["leftMasterKeyId"]) == (True, [], old_id)
        assert keys_in(database) == {done["masterKeyId"]: VALUES + 2}
        assert done["values"] == VALUES + 2
    refused = run_cli("server", environment=clean_environment(data_dir=data_dir, master_key_file=old), check=False)
    assert f"the database needs master key {done['masterKeyId']}, this one is {old_id}" in refused.stderr
    parts = open_parts(ServerSettings(data_dir=data_dir, master_key_file=new))
    organization = OrganizationId(UUID(admin.organization_id))
    with parts.database.read() as tx:
        read = list_variables(tx, parts.cipher, organization, [(VariableScope.GLOBAL, organization)])
    parts.close()
    assert {item.value.reveal() for item in read} == {f"value of {item.name}" for item in read}
    assert len(read) == VALUES + 1
