"""A new master key: everything is sealed again while servers go on, and nothing is lost when it is cut short."""

from typing import Any

import pytest
from sqlalchemy import select, update

from factories import MASTER_KEY, Tenant, World
from runpass.errors import ConfigurationError, Unavailable
from runpass.server.db.encryption import Cipher, CorruptColumn
from runpass.server.db.engine import Database
from runpass.server.db.master_key import check_master_key, follow
from runpass.server.db.schema import metadata
from runpass.server.db.schema.audit import audit_events
from runpass.server.db.schema.variables import variables
from runpass.server.keeping.keeper import follow_once
from runpass.server.keeping.reencrypting import Reencrypted, Reencryption
from runpass.server.keeping.sealed_columns import SEALED_COLUMNS
from runpass.server.variables.model import VariableScope
from sealed_world import Sealed, expected, sealed_world

NEW = bytes(range(32, 64))
THIRD = bytes(range(64, 96))
OLD_ID, NEW_ID, THIRD_ID = (Cipher(key).key_id for key in (MASTER_KEY, NEW, THIRD))


class KilledError(Exception):
    """Stands for the end of the process."""


@pytest.fixture
def sealed(world: World, tenant: Tenant) -> Sealed:
    check_master_key(world.database, world.cipher)
    return sealed_world(world, tenant)


def both() -> Cipher:
    return Cipher(NEW, MASTER_KEY)


def work(world: World, cipher: Cipher | None = None, **more: Any) -> Reencryption:
    chosen = {"pause": lambda _: None, "batch": 1, **more}
    return Reencryption(world.database, cipher or both(), world.clock, "operator:test", **chosen)


def starts(database: Database, *keys: bytes) -> bool:
    try:
        check_master_key(database, Cipher(*keys))
    except ConfigurationError:
        return False
    return True


def stored(database: Database) -> dict[str, bytes]:
    with database.read() as tx:
        return {
            f"{item.table.name}.{item.name} of {row.key}": row.sealed
            for item in SEALED_COLUMNS
            for row in tx.execute(select(item.key.label("key"), item.column.label("sealed")))
            if row.sealed is not None
        }


def test_every_sealed_column_of_the_schema_is_known():
    found = {(table.name, column.name) for table in metadata.tables.values() for column in table.columns}
    named = {(item.table.name, item.name) for item in SEALED_COLUMNS}
    assert named == {item for item in found if item[1].endswith("_sealed")}


def test_every_room_reads_with_the_new_key_alone_what_it_sealed_with_the_old_one(world: World, sealed: Sealed):
    *before, kid = sealed.read(world.cipher)
    assert before == expected(sealed)
    done = work(world).run()
    values = len(stored(world.database))
    assert done == Reencrypted(NEW_ID, OLD_ID, values, values, (), finished=True)
    assert values >= len(SEALED_COLUMNS)
    assert sealed.read(Cipher(NEW)) == [*before, kid]
    for value in stored(world.database).values():
        assert Cipher(MASTER_KEY).key_id.encode() not in value
    with pytest.raises(CorruptColumn):
        sealed.read(Cipher(MASTER_KEY))
    assert starts(world.database, NEW)
    assert not starts(world.database, MASTER_KEY)


def test_doing_it_again_changes_nothing(world: World, sealed: Sealed):
    work(world).run()
    before = stored(world.database)
    again = work(world).run()
    assert (again.changed, again.left_key_id, again.finished) == (0, None, True)
    assert stored(world.database) == before


@pytest.mark.parametrize("after", [1, 4])
def test_what_is_killed_half_way_is_readable_and_finished_by_the_next(world: World, sealed: Sealed, after: int):
    class Dying(Reencryption):
        def _reseal_one(self, *arguments: Any) -> bool:
            if sum(value[1:5].hex() == NEW_ID for value in stored(world.database).values()) >= after:
                raise KilledError
            return super()._reseal_one(*arguments)

    dying = Dying(world.database, both(), world.clock, "operator:test", pause=lambda _: None, batch=1)
    with pytest.raises(KilledError):
        dying.run()
    values = stored(world.database)
    assert sum(value[1:5].hex() == NEW_ID for value in values.values()) == after
    assert sealed.read(both())[:-1] == expected(sealed)
    done = work(world).run()
    assert (done.changed, done.finished) == (len(values) - after, True)
    assert sealed.read(Cipher(NEW))[:-1] == expected(sealed)


def test_servers_with_both_keys_seal_with_the_new_one_once_it_is_said(world: World, sealed: Sealed):
    server = both()
    check_master_key(world.database, server)
    assert server.sealing_key_id == OLD_ID, "a server that starts first must not lock out those that have one key"
    assert starts(world.database, MASTER_KEY)
    late: list[int] = []

    def while_it_settles(_: float) -> None:
        if not late:  # this server seals one more value with the old key before it looks
            late.append(1)
            old = World(world.database, server, world.clock)
            sealed.tenant.world = old
            sealed.tenant.variable(VariableScope.GLOBAL, sealed.tenant.id, "LATE", "late", is_sensitive=True)
            follow_once(world.database, server)

    done = work(world, pause=while_it_settles).run()
    assert late
    assert done.finished
    assert server.sealing_key_id == NEW_ID
    assert {value[1:5].hex() for value in stored(world.database).values()} == {NEW_ID}


def test_a_server_without_the_new_key_seals_nothing_any_more(world: World, sealed: Sealed):
    forgotten = Cipher(MASTER_KEY)
    check_master_key(world.database, forgotten)
    work(world).run()
    follow(world.database, forgotten)
    place = SEALED_COLUMNS[0].place(type("Row", (), {"key": "k", "organization_id": None})())
    with pytest.raises(Unavailable, match="went on to another master key"):
        forgotten.seal(b"value", place)


def test_while_it_goes_on_a_server_needs_both_keys_and_is_told_which(world: World, sealed: Sealed):
    class Dying(Reencryption):
        def _reseal_one(self, *_: Any) -> bool:
            raise KilledError

    with pytest.raises(KilledError):
        Dying(world.database, both(), world.clock, "operator:test", pause=lambda _: None).run()
    with pytest.raises(ConfigurationError) as old_alone:
        check_master_key(world.database, Cipher(MASTER_KEY))
    assert f"the database needs master key {NEW_ID}, this one is {OLD_ID}" in old_alone.value.message
    with pytest.raises(ConfigurationError) as new_alone:
        check_master_key(world.database, Cipher(NEW))
    assert f"still needs {OLD_ID} beside {NEW_ID}" in new_alone.value.message
    assert starts(world.database, NEW, MASTER_KEY)
    assert starts(world.database, MASTER_KEY, NEW)
    with pytest.raises(ConfigurationError, match=f"needs {OLD_ID} beside|needs master key"):
        work(world, Cipher(THIRD, NEW)).run()
    with pytest.raises(ConfigurationError):
        work(world, Cipher(THIRD, MASTER_KEY)).run()


def test_whoever_gives_up_goes_back_the_same_way(world: World, sealed: Sealed):
    work(world).run()
    done = work(world, Cipher(MASTER_KEY, NEW)).run()
    assert (done.left_key_id, done.finished) == (NEW_ID, True)
    assert sealed.read(Cipher(MASTER_KEY))[:-1] == expected(sealed)


def test_a_value_that_does_not_open_is_named_and_keeps_the_change_from_ending(world: World, sealed: Sealed):
    with world.database.write() as tx:
        (row,) = tx.execute(select(variables.c.id, variables.c.value_sealed)).all()
        tx.execute(update(variables).values(value_sealed=row.value_sealed[:-1] + b"\x00"))
    done = work(world).run()
    assert not done.finished
    assert [line.partition(" does not open")[0] for line in done.corrupt] == [f"variables.value_sealed of {row.id}"]
    assert starts(world.database, NEW, MASTER_KEY)
    assert not starts(world.database, NEW)
    assert work(world).run(leave_corrupt=True).finished
    assert starts(world.database, NEW)


def test_two_organizations_whose_ciphertexts_were_swapped_read_neither(world: World, sealed: Sealed):
    other = world.tenant("other")
    other.variable(VariableScope.GLOBAL, other.id, "NAME", "of the other", is_sensitive=True)
    with world.database.write() as tx:
        one, two = tx.execute(select(variables.c.id, variables.c.value_sealed)).all()
        for row, value in ((one, two.value_sealed), (two, one.value_sealed)):
            tx.execute(update(variables).where(variables.c.id == row.id).values(value_sealed=value))
    done = work(world).run()
    assert not done.finished
    assert len(done.corrupt) == 2


def test_the_change_is_recorded(world: World, sealed: Sealed):
    work(world).run()
    with world.database.read() as tx:
        found = select(audit_events.c.action, audit_events.c.subject_id, audit_events.c.actor)
        events = tx.execute(found.where(audit_events.c.subject_kind == "master_key").order_by(audit_events.c.seq)).all()
    assert [tuple(event) for event in events] == [
        ("master_key.change_begun", NEW_ID, "operator:test"),
        ("master_key.changed", NEW_ID, "operator:test"),
    ]
