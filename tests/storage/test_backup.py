"""A backup of either database goes back into either, whole or not at all, and nothing of the past is done twice."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect, select, text

from factories import MASTER_KEY, Tenant, World, holder
from key_scene import rotate, start_rings
from runpass.errors import Conflict, InvalidInput, RunpassError, StaleLease
from runpass.protocol.reports import Finish, Outcome
from runpass.secret import Secret
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Database, open_database
from runpass.server.db.master_key import check_master_key, needed_keys
from runpass.server.db.schema import metadata
from runpass.server.db.schema.issuer import signing_keys
from runpass.server.deployments.model import Deployment, DeploymentStatus
from runpass.server.deployments.run_leases import finish, take
from runpass.server.deployments.store import get_deployment
from runpass.server.issuer.keys import SHARED, KeyState
from runpass.server.issuer.store import list_records
from runpass.server.keeping.backing_up import Backup
from runpass.server.keeping.dumping import dumped
from runpass.server.keeping.restoring import restore_database, verify_archive
from runpass.server.keeping.sealed_stream import FileKey
from runpass.server.keeping.server_backup import back_up_server, restore_server
from runpass.server.keeping.settling import ENDED, Settling
from runpass.server.settings import ServerSettings
from runpass.server.trail.verifying import verify
from sealed_world import SECRET, VALUE, Sealed, expected, sealed_world

KEY = FileKey(Secret("5a" * 32), is_passphrase=False)


@pytest.fixture
def sealed(world: World, tenant: Tenant) -> Sealed:
    check_master_key(world.database, world.cipher)
    parent = tenant.project("parent")
    tenant.project("child", parent)
    return sealed_world(world, tenant)


def backed_up(world: World, path: Path) -> Path:
    Backup(world.database, world.cipher, world.clock, "operator:test").write(path, KEY, [("master.key", MASTER_KEY)])
    return path


def restored(url: str, path: Path) -> Database:
    database = open_database(url)
    restore_database(database, path, KEY, verify_archive(path, KEY))
    return database


def rows(database: Database) -> list[str]:
    with database.read() as tx:
        return [line for line in dumped(tx) if '"restored_from"' not in line]


@pytest.mark.parametrize("into", ["sqlite", "postgresql"])
def test_everything_comes_back_in_either_database(
    *, world: World, sealed: Sealed, into: str, tmp_path: Path, request: pytest.FixtureRequest
):
    url = f"sqlite:///{tmp_path / 'other.db'}" if into == "sqlite" else request.getfixturevalue("empty_postgresql_url")
    path = backed_up(world, tmp_path / "backup")
    assert path.stat().st_mode & 0o777 == 0o600
    assert not any(item.encode() in path.read_bytes() for item in (VALUE, SECRET, sealed.tenant.organization.name))
    other = restored(url, path)
    assert rows(other) == rows(world.database)
    assert len({table for table in metadata.tables if table in " ".join(rows(other))}) == len(metadata.tables)
    check_master_key(other, Cipher(MASTER_KEY))
    there = World(other, Cipher(MASTER_KEY), world.clock)
    again = Sealed(there, sealed.tenant, sealed.credential, sealed.login, sealed.deployment, sealed.check)
    assert again.read(Cipher(MASTER_KEY))[:-1] == expected(sealed)
    assert [report.fault for report in verify(other)] == [None] * len(verify(world.database))
    Settling(other, there.cipher, world.clock, rotates=True).settle()
    assert all(report.fault is None for report in verify(other)), "the chains go on where they were"
    other.close()


def test_a_pruned_chain_comes_back_and_still_holds(world: World, sealed: Sealed, tmp_path: Path):
    from runpass.server.trail.pruning import prune

    world.clock.advance(timedelta(days=1))
    prune(world.database, world.clock.now() - timedelta(hours=1), actor="operator:test", clock=world.clock)
    other = restored(f"sqlite:///{tmp_path / 'other.db'}", backed_up(world, tmp_path / "backup"))
    reports = verify(other)
    assert any(report.checkpoint for report in reports)
    assert all(report.fault is None for report in reports)
    other.close()


def test_it_is_one_moment_of_a_database_that_is_written_all_the_time(world: World, sealed: Sealed, tmp_path: Path):
    lines = []
    with world.database.read() as tx:
        assert needed_keys(tx), "the moment is that of the first thing that is read"
        for number, line in enumerate(dumped(tx)):
            if number % 10 == 0:
                sealed.tenant.project(f"meanwhile-{number}")
            lines.append(line)
    assert not any("meanwhile" in line for line in lines)


def finished(other: World, deployment: Deployment) -> Deployment:
    with other.database.read() as tx:
        found = get_deployment(tx, deployment.organization_id, deployment.id)
    assert found is not None
    return found


def test_nothing_that_was_unfinished_is_done_again(world: World, tenant: Tenant, sealed: Sealed, tmp_path: Path):
    project, environment = tenant.somewhere_to_deploy()
    runner = tenant.runner()
    running = tenant.queue(environment)
    lease = take(world.rules, runner)
    assert lease is not None
    waiting = tenant.queue(environment)
    never_spoke = tenant.queue(tenant.environment(project, tenant.template(project), "second"))
    other = restored(f"sqlite:///{tmp_path / 'other.db'}", backed_up(world, tmp_path / "backup"))
    there = World(other, world.cipher, world.clock)

    assert Settling(other, there.cipher, there.clock, rotates=True).settle() == 3
    assert Settling(other, there.cipher, there.clock, rotates=True).settle() is None
    assert [finished(there, item).status for item in (running, waiting, never_spoke)] == [
        DeploymentStatus.INTERNAL_FAILURE,
        DeploymentStatus.CANCELLED,
        DeploymentStatus.CANCELLED,
    ]
    assert finished(there, waiting).error == ENDED
    assert take(there.rules, runner) is None
    word = Finish(fencing_token=lease.fencing_token, outcome=Outcome.SUCCESS)
    with pytest.raises(StaleLease):
        finish(there.rules, holder(runner, lease), word)
    other.close()


def test_no_key_of_a_backup_signs_or_is_published_again(world: World, tenant: Tenant, sealed: Sealed, tmp_path: Path):
    """One of them may have been killed since because it leaked; the Vaults have forgotten it."""
    before = start_rings(world)
    issuers = (SHARED, tenant.id)
    rotate(world, before)  # so that one is retiring
    for issuer in issuers:
        before.ring_for(issuer)
    known = {key.kid for issuer in issuers for key in before.last_read(issuer).keys}
    other = restored(f"sqlite:///{tmp_path / 'other.db'}", backed_up(world, tmp_path / "backup"))
    there = World(other, world.cipher, world.clock)
    rings = start_rings(there)  # a server opens its keys first
    Settling(other, there.cipher, there.clock, rotates=True).settle()
    rings.tend()
    for issuer in issuers:
        ring = rings.ring_for(issuer).current
        assert [key.kid for key in ring.keys] == [rings.ring_for(issuer).signing.kid]
        assert not known & {key.kid for key in ring.keys}
    with other.read() as tx:
        old = tx.execute(select(signing_keys).where(signing_keys.c.kid.in_(known))).all()
    assert {(row.state, row.private_key_sealed) for row in old} == {("gone", None)}
    assert all(report.fault is None for report in verify(other))
    other.close()


def test_whoever_pushes_keys_rotates_them_alone(world: World, sealed: Sealed, tmp_path: Path):
    other = restored(f"sqlite:///{tmp_path / 'other.db'}", backed_up(world, tmp_path / "backup"))
    Settling(other, world.cipher, world.clock, rotates=False).settle()
    with other.read() as tx:
        (active,) = list_records(tx, SHARED)
    assert (active.state, active.rotation_wanted_at) == (KeyState.ACTIVE, None)
    other.close()


def test_a_backup_is_never_overwritten_and_a_damaged_one_changes_nothing(world: World, sealed: Sealed, tmp_path: Path):
    path = backed_up(world, tmp_path / "backup")
    with pytest.raises(Conflict, match="is there already"):
        backed_up(world, path)
    assert [item.name for item in tmp_path.glob(".backup*")] == []
    content = path.read_bytes()
    settings = ServerSettings(data_dir=tmp_path / "data")
    for number, damaged in enumerate((content[:-20], content[:70] + b"\x00" + content[71:], content + b"x")):
        bad = tmp_path / f"bad-{number}"
        bad.write_bytes(damaged)
        with pytest.raises(InvalidInput):
            restore_server(settings, bad, KEY)
    with pytest.raises(InvalidInput, match="does not open"):
        restore_server(settings, path, FileKey(Secret("5b" * 32), is_passphrase=False))
    assert not settings.data_dir.exists()


def test_a_database_that_is_not_empty_is_left_alone(world: World, sealed: Sealed, tmp_path: Path, empty_url: str):
    path = backed_up(world, tmp_path / "backup")
    database = open_database(empty_url)
    with database.write() as tx:
        tx.execute(text("CREATE TABLE theirs (id INTEGER)"))
    with pytest.raises(Conflict, match="not empty"):
        restore_database(database, path, KEY, verify_archive(path, KEY))
    with database.read() as tx:
        assert inspect(tx).get_table_names() == ["theirs"]
    database.close()


def test_a_backup_of_a_newer_version_is_refused_before_anything_is_written(
    *, world: World, sealed: Sealed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("runpass.server.keeping.backing_up.head", lambda: "9999_later")
    path = backed_up(world, tmp_path / "backup")
    settings = ServerSettings(data_dir=tmp_path / "data")
    with pytest.raises(RunpassError, match="9999_later, which is newer"):
        restore_server(settings, path, KEY)
    assert not settings.data_dir.exists()


def test_a_server_comes_back_with_its_key_and_a_key_that_is_there_stays(
    *, world: World, sealed: Sealed, tmp_path: Path
):
    where: dict[str, Any] = {"master_key": Secret(MASTER_KEY.hex())}
    settings = ServerSettings(data_dir=tmp_path / "old", **where)
    path = tmp_path / "backup"
    back_up_server(settings, world.database, path, KEY, clock=world.clock, actor="operator:test", keys=True)
    new = ServerSettings(data_dir=tmp_path / "new")
    new.data_dir.mkdir(mode=0o700)
    key_file = new.data_dir / "master.key"
    key_file.write_bytes(bytes(32))
    with pytest.raises(Conflict, match="another one than that of the backup"):
        restore_server(new, path, KEY)
    assert key_file.read_bytes() == bytes(32)
    key_file.unlink()
    assert restore_server(new, path, KEY).manifest.master_key_ids == (Cipher(MASTER_KEY).key_id,)
    assert key_file.read_bytes() == MASTER_KEY
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert (new.data_dir / "runpass.db").stat().st_mode & 0o777 == 0o600
    with pytest.raises(Conflict, match="not empty"):
        restore_server(new, path, KEY)
