"""What must be secret at rest: it opens only where it was put, with the key it was put there with."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, select, update

from factories import MASTER_KEY, MovingClock, Tenant, World
from runpass.errors import ConfigurationError
from runpass.ids import new_id
from runpass.secret import Secret
from runpass.server.db.encryption import Cipher, CorruptColumn
from runpass.server.db.engine import Database, open_database
from runpass.server.db.schema.deployments import deployments
from runpass.server.db.schema.issuer import signing_keys
from runpass.server.db.schema.variables import variables
from runpass.server.deployments.inputs import inputs_of
from runpass.server.deployments.store import sealed_inputs
from runpass.server.issuer.keys import new_key
from runpass.server.issuer.rings import open_rings
from runpass.server.issuer.store import insert_key
from runpass.server.opening import open_parts
from runpass.server.settings import ServerSettings
from runpass.server.variables.model import VariableScope
from runpass.server.variables.store import list_variables

VALUE = "a-sensitive-value-5d1f"


def stored(database: Database, column: Any, row: Any) -> bytes:
    with database.read() as tx:
        return tx.execute(select(column).where(row)).scalar_one()


def replace_column(database: Database, table: Table, row: Any, **values: Any) -> None:
    with database.write() as tx:
        tx.execute(update(table).where(row).values(**values))


def read_variables(world: World, tenant: Tenant) -> list[str]:
    with world.database.read() as tx:
        found = list_variables(tx, world.cipher, tenant.id, [(VariableScope.GLOBAL, tenant.id)])
    return [item.value.reveal() for item in found]


def sensitive(tenant: Tenant, name: str = "NAME") -> Any:
    return variables.c.id == tenant.variable(VariableScope.GLOBAL, tenant.id, name, VALUE, is_sensitive=True).id


def test_a_sealed_value_moved_to_another_row_does_not_open(tenant: Tenant, world: World):
    one, other = sensitive(tenant, "ONE"), sensitive(tenant, "OTHER")
    moved = stored(world.database, variables.c.value_sealed, one)
    replace_column(world.database, variables, other, value_sealed=moved)
    with pytest.raises(CorruptColumn, match=r"variables\.value_sealed"):
        read_variables(world, tenant)


def test_a_row_moved_to_another_organization_does_not_open(tenant: Tenant, world: World):
    thief = world.tenant("thief")
    replace_column(world.database, variables, sensitive(tenant), organization_id=thief.id, scope_id=thief.id)
    with pytest.raises(CorruptColumn):
        read_variables(world, thief)


def test_a_row_with_another_id_does_not_open(tenant: Tenant, world: World):
    replace_column(world.database, variables, sensitive(tenant), id=new_id())
    with pytest.raises(CorruptColumn):
        read_variables(world, tenant)


def test_a_sealed_value_moved_to_another_column_does_not_open(tenant: Tenant, world: World):
    deployment = tenant.queue(tenant.somewhere_to_deploy()[1])
    with world.database.read() as tx:
        sealed = sealed_inputs(tx, deployment.id)
    replace_column(world.database, variables, sensitive(tenant), value_sealed=sealed)
    with pytest.raises(CorruptColumn):
        read_variables(world, tenant)


def test_the_inputs_of_one_deployment_do_not_open_as_anothers(tenant: Tenant, world: World):
    _, environment = tenant.somewhere_to_deploy()
    one, other = tenant.queue(environment), tenant.queue(environment)
    with world.database.write() as tx:
        assert inputs_of(tx, world.cipher, one).run.deployment_id == one.id
        moved = {"inputs_sealed": sealed_inputs(tx, one.id)}
        tx.execute(update(deployments).where(deployments.c.id == other.id).values(**moved))
    with pytest.raises(CorruptColumn), world.database.read() as tx:
        inputs_of(tx, world.cipher, other)


def test_any_changed_byte_is_noticed(tenant: Tenant, world: World):
    row = sensitive(tenant)
    sealed = stored(world.database, variables.c.value_sealed, row)
    broken = [sealed[:n] + bytes([sealed[n] ^ 1]) + sealed[n + 1 :] for n in range(len(sealed))]
    for changed in [*broken, b"", sealed[:10], sealed[:-1], sealed + b"x"]:
        replace_column(world.database, variables, row, value_sealed=changed)
        with pytest.raises(CorruptColumn) as error:
            read_variables(world, tenant)
        assert VALUE not in str(error.value)


def test_the_same_value_looks_different_each_time(tenant: Tenant, world: World):
    sealed = [stored(world.database, variables.c.value_sealed, sensitive(tenant, name)) for name in ("ONE", "OTHER")]
    assert sealed[0] != sealed[1]
    assert read_variables(world, tenant) == [VALUE, VALUE]


def test_a_changed_signing_key_is_not_used(world: World):
    key = new_key(world.clock.now())
    with world.database.write() as tx:
        insert_key(tx, world.cipher, key)
    sealed = stored(world.database, signing_keys.c.private_key_sealed, signing_keys.c.kid == key.kid)
    assert key.private_der() not in sealed
    replace_column(
        world.database, signing_keys, signing_keys.c.kid == key.kid, private_key_sealed=sealed[:-1] + b"\x00"
    )
    with pytest.raises(CorruptColumn, match=r"signing_keys\.private_key_sealed"):
        open_rings(world.database, world.cipher, world.clock)


def test_a_server_with_another_master_key_does_not_start_and_names_both(empty_url: str, tmp_path: Path):
    other = bytes(32)
    settings = ServerSettings(data_dir=tmp_path / "data", database_url=empty_url, master_key=Secret(MASTER_KEY.hex()))
    open_parts(settings).close()
    open_parts(settings).close()
    with pytest.raises(ConfigurationError) as error:
        open_parts(settings.model_copy(update={"master_key": Secret(other.hex())}))
    assert Cipher(MASTER_KEY).key_id in error.value.message
    assert Cipher(other).key_id in error.value.message
    assert error.value.hint


def test_secret_values_stand_nowhere_in_the_files_of_sqlite(
    migrated_sqlite_file: Path, cipher: Cipher, clock: MovingClock
):
    file = migrated_sqlite_file.parent / "searched.db"
    file.write_bytes(migrated_sqlite_file.read_bytes())
    database = open_database(f"sqlite:///{file}")
    world = World(database, cipher, clock)
    tenant = world.tenant()
    project, environment = tenant.somewhere_to_deploy()
    tenant.variable(VariableScope.PROJECT, project.id, "SECRET", VALUE, is_sensitive=True)
    tenant.variable(VariableScope.PROJECT, project.id, "PLAIN", "a-plain-value-77aa")
    tenant.queue(environment)
    joined, token = tenant.join(), tenant.join_token()
    ring = open_rings(database, cipher, clock).shared

    def files() -> bytes:
        return b"".join(path.read_bytes() for path in sorted(file.parent.glob("searched.db*")))

    with database.read() as tx:  # so that the write-ahead log is still there
        assert tx.execute(select(deployments.c.id)).all()
        found = files()
    database.close()
    found += files()
    assert b"a-plain-value-77aa" in found
    secrets = [VALUE, tenant.api_secret.reveal(), joined.key.reveal(), token.reveal(), MASTER_KEY.hex()]
    assert [secret for secret in secrets if secret.encode() in found] == []
    assert MASTER_KEY not in found
    assert ring.signing.private_der()[-64:] not in found
