"""The chains of the audit trail: what they show when somebody was at the database, and what that refuses."""

import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from factories import MovingClock, Tenant, World
from runpass.errors import Conflict, InvalidInput, NotFound, RunpassError
from runpass.ids import new_id
from runpass.server.audit import INSTANCE_CHAIN, AuditEvent, link_hash, record
from runpass.server.db.engine import Database, open_database
from runpass.server.db.migrate import SCRIPTS, upgrade
from runpass.server.db.schema.audit import audit_checkpoints, audit_events, audit_heads
from runpass.server.trail import store
from runpass.server.trail.exporting import export
from runpass.server.trail.pruning import prune
from runpass.server.trail.store import Mark
from runpass.server.trail.verifying import ChainReport, verify

CHAIN = UUID(int=7)
MINE = audit_events.c.chain == CHAIN


def write(database: Database, clock: MovingClock, count: int, chain: UUID = CHAIN) -> None:
    for number in range(count):
        with database.write() as tx:
            event = AuditEvent(clock.now(), "somebody", "noun.verb", "noun", f"{number}", chain, {"name": "ä\n{}"})
            record(tx, event)


@pytest.fixture
def chained(database: Database, clock: MovingClock) -> Database:
    """A database with a chain of seven events."""
    write(database, clock, 7)
    return database


@contextmanager
def by_its_owner(database: Database) -> Iterator[Connection]:
    """A transaction of somebody who owns the database: no trigger holds them."""
    with database.write() as tx:
        if not database.is_sqlite:
            tx.execute(text("SET LOCAL session_replication_role = replica"))
            yield tx
            return
        triggers = tx.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")).all()
        for name, _ in triggers:
            tx.exec_driver_sql(f"DROP TRIGGER {name}")
        yield tx
        for _, sql in triggers:
            tx.exec_driver_sql(sql)


def report(database: Database, chain: UUID = CHAIN, known: Mark | None = None) -> ChainReport:
    return next(item for item in verify(database, {chain: known} if known else None) if item.chain == chain)


def rows(database: Database, chain: UUID = CHAIN) -> list[Any]:
    with database.read() as tx:
        return list(store.in_order(tx, chain))


def columns(row: Any) -> dict[str, Any]:
    return dict(row._mapping)  # noqa: SLF001 -- SQLAlchemy's public name for it


def at(seq: int) -> Any:
    return MINE & (audit_events.c.seq == seq)


def swap(tx: Connection, one: int, other: int) -> None:
    for before, after in ((one, 1000), (other, one), (1000, other)):
        tx.execute(update(audit_events).where(at(before)).values(seq=after))


def insert_another(tx: Connection) -> None:
    for seq in range(7, 3, -1):
        tx.execute(update(audit_events).where(at(seq)).values(seq=seq + 1))
    stolen = columns(tx.execute(select(audit_events).where(at(3))).one())
    tx.execute(insert(audit_events).values(stolen | {"id": new_id(), "seq": 4}))


def reverse(tx: Connection) -> None:
    for one, other in ((1, 7), (2, 6), (3, 5)):
        swap(tx, one, other)


def append_unheard(tx: Connection) -> None:
    stolen = columns(tx.execute(select(audit_events).where(at(7))).one()) | {"id": new_id(), "seq": 8}
    previous = stolen["hash"]
    tx.execute(insert(audit_events).values(stolen | {"hash": link_hash(previous, stolen)}))


def write_anew(tx: Connection) -> None:
    """What an owner does who knows the format: change an event, and every hash after it."""
    last = bytes(32)
    for row in tx.execute(select(audit_events).where(MINE).order_by(audit_events.c.seq)).all():
        values = columns(row) | ({"actor": "somebody else"} if row.seq == 4 else {})
        last = link_hash(last, values)
        tx.execute(update(audit_events).where(at(row.seq)).values(values | {"hash": last}))
    tx.execute(update(audit_heads).where(audit_heads.c.chain == CHAIN).values(hash=last))


def cut_with_its_head(tx: Connection) -> None:
    tx.execute(delete(audit_events).where(at(7)))
    sixth = tx.execute(select(audit_events.c.hash).where(at(6))).scalar_one()
    tx.execute(update(audit_heads).where(audit_heads.c.chain == CHAIN).values(seq=6, hash=sixth))


def changed(**values: Any) -> Callable[[Connection], object]:
    return lambda tx: tx.execute(update(audit_events).where(at(4)).values(values))


def removed(*seqs: int) -> Callable[[Connection], object]:
    return lambda tx: tx.execute(delete(audit_events).where(MINE, audit_events.c.seq.in_(seqs)))


TAMPERING: dict[str, tuple[Callable[[Connection], object], int]] = {
    "changed actor": (changed(actor="somebody else"), 4),
    "changed action": (changed(action="noun.verbs"), 4),
    "changed kind": (changed(subject_kind="nouns"), 4),
    "changed subject": (changed(subject_id="30"), 4),
    "changed detail": (changed(detail={"name": "another"}), 4),
    "changed request": (changed(request_id="x"), 4),
    "changed address": (changed(address="192.0.2.1"), 4),
    "changed organization": (changed(organization_id=uuid4()), 4),
    "changed id": (changed(id=uuid4()), 4),
    "changed hash": (changed(hash=bytes(32)), 4),
    "words moved between fields": (changed(actor="somebodynoun", action=".verb"), 4),
    "removed first": (removed(1), 1),
    "removed in the middle": (removed(4), 4),
    "removed two": (removed(4, 5), 4),
    "removed last": (removed(7), 7),
    "removed all": (removed(*range(1, 8)), 1),
    "swapped": (lambda tx: swap(tx, 3, 6), 3),
    "another order": (reverse, 1),
    "inserted": (insert_another, 4),
    "appended past the head": (append_unheard, 8),
    "head lost": (lambda tx: tx.execute(delete(audit_heads).where(audit_heads.c.chain == CHAIN)), 7),
    "head moved": (lambda tx: tx.execute(update(audit_heads).values(seq=9)), 8),
}


def test_a_chain_that_nobody_touched_holds(chained: Database, clock: MovingClock):
    found = report(chained)
    assert (found.events, found.first_seq, found.last.seq, found.checkpoint, found.fault) == (7, 1, 7, None, None)
    assert found.last.hash == rows(chained)[-1].hash


@pytest.mark.parametrize("kind_of_tampering", TAMPERING)
def test_tampering_is_found_at_the_first_event_that_it_touched(chained: Database, kind_of_tampering: str):
    tamper, bad = TAMPERING[kind_of_tampering]
    with by_its_owner(chained) as tx:
        tamper(tx)
    fault = report(chained).fault
    assert fault is not None
    assert fault.seq == bad


def test_the_time_of_an_event_is_part_of_its_hash_to_the_microsecond(chained: Database):
    with by_its_owner(chained) as tx:
        tx.execute(update(audit_events).where(at(4)).values(at=rows(chained)[3].at + timedelta(microseconds=1)))
    assert report(chained).fault is not None


def test_a_row_that_sqlite_cannot_read_any_more_is_named(
    migrated_sqlite_file: Path, tmp_path: Path, clock: MovingClock
):
    shutil.copyfile(migrated_sqlite_file, tmp_path / "damaged.db")
    damaged = open_database(f"sqlite:///{tmp_path / 'damaged.db'}")
    write(damaged, clock, 7)
    with by_its_owner(damaged) as tx:
        tx.exec_driver_sql("UPDATE audit_events SET detail = 'no JSON' WHERE seq = 5")
    fault = report(damaged).fault
    damaged.close()
    assert fault is not None
    assert (fault.seq, fault.what) == (5, "cannot be read")


@pytest.mark.parametrize("tamper", [write_anew, cut_with_its_head])
def test_what_an_owner_writes_anew_shows_only_against_a_place_that_was_kept_elsewhere(
    chained: Database, tamper: Callable[[Connection], None]
):
    kept = report(chained).last
    assert report(chained, known=kept).fault is None
    with by_its_owner(chained) as tx:
        tamper(tx)
    assert report(chained).fault is None
    fault = report(chained, known=kept).fault
    assert fault is not None
    assert fault.seq == 7


def test_a_chain_that_is_gone_as_a_whole_shows_against_a_place_that_was_kept(chained: Database):
    kept = report(chained).last
    with by_its_owner(chained) as tx:
        tx.execute(delete(audit_events).where(MINE))
        tx.execute(delete(audit_heads).where(audit_heads.c.chain == CHAIN))
    assert report(chained, known=kept).fault is not None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET actor = 'x' WHERE seq = 8",
        "UPDATE audit_events SET seq = 99 WHERE seq = 8",
        "DELETE FROM audit_events",
        "DELETE FROM audit_events WHERE seq = 8",
        "UPDATE audit_heads SET seq = 6",
        "UPDATE audit_heads SET seq = 70",
        "DELETE FROM audit_heads",
        "UPDATE audit_checkpoints SET seq = 99",
        "DELETE FROM audit_checkpoints",
    ],
)
def test_the_database_refuses_to_change_the_trail(chained: Database, clock: MovingClock, statement: str):
    clock.advance(timedelta(days=1))
    write(chained, clock, 1)
    prune(chained, clock.now(), actor="test", clock=clock, batch=2)
    before = rows(chained)
    with pytest.raises(RunpassError), chained.write() as tx:
        tx.exec_driver_sql(statement)
    assert rows(chained) == before
    assert report(chained).fault is None


def test_postgresql_refuses_to_truncate_the_trail_too(shared_postgresql_database: Database):
    for table in ("audit_events", "audit_checkpoints", "audit_heads"):
        with pytest.raises(RunpassError, match="are_not_truncated"), shared_postgresql_database.write() as tx:
            tx.exec_driver_sql(f"TRUNCATE {table}")


@pytest.mark.parametrize("seq", [4, 7, 9])
def test_the_database_takes_an_event_at_the_end_of_its_chain_only(chained: Database, seq: int):
    stolen = columns(rows(chained)[3]) | {"id": new_id(), "seq": seq}
    with pytest.raises(RunpassError), chained.write() as tx:
        tx.execute(insert(audit_events).values(stolen))


def test_a_record_outside_of_a_writing_transaction_fails_loudly(database: Database, clock: MovingClock):
    event = AuditEvent(clock.now(), "somebody", "noun.verb", "noun", "1")
    with pytest.raises(RunpassError, match=r"Database\.write"), database.read() as tx:
        record(tx, event)
    with pytest.raises(RunpassError, match=r"Database\.write"), database.engine.begin() as tx:
        record(tx, event)


def test_what_is_undone_leaves_no_gap(chained: Database, clock: MovingClock):
    def record_and_fail() -> None:
        with chained.write() as tx:
            record(tx, AuditEvent(clock.now(), "somebody", "noun.verb", "noun", "1", CHAIN))
            raise LookupError

    with pytest.raises(LookupError):
        record_and_fail()
    write(chained, clock, 1)
    assert [row.seq for row in rows(chained)] == list(range(1, 9))


def test_eight_threads_that_write_at_once_make_one_chain_without_a_gap(database: Database, clock: MovingClock):
    other = UUID(int=8)

    def write_some(number: int) -> None:
        for _ in range(12):
            with database.write() as tx:
                for chain in (CHAIN, other) if number % 2 else (other, CHAIN):
                    record(tx, AuditEvent(clock.now(), f"{number}", "noun.verb", "noun", "1", chain))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write_some, range(8)))
    for chain in (CHAIN, other):
        assert [row.seq for row in rows(database, chain)] == list(range(1, 97))
        assert report(database, chain).fault is None


def test_each_organization_has_a_chain_and_so_has_the_instance(world: World, tenant: Tenant):
    with world.database.write() as tx:
        record(tx, AuditEvent(world.clock.now(), "system", "signing_key.created", "signing_key", "kid"))
    reports = {item.chain: item for item in verify(world.database)}
    assert {tenant.id, INSTANCE_CHAIN} <= reports.keys()
    assert all(item.fault is None and item.first_seq == 1 for item in reports.values())


def test_pruning_leaves_a_checkpoint_that_the_rest_is_verified_from(chained: Database, clock: MovingClock):
    clock.advance(timedelta(days=1))
    border = clock.now()
    write(chained, clock, 3)
    seventh = rows(chained)[6]
    assert prune(chained, border, actor="operator:test", clock=clock, batch=3) == {CHAIN: 7}
    assert [row.seq for row in rows(chained)] == [8, 9, 10, 11, 12, 13]
    told = rows(chained)[-1]
    assert (told.action, told.actor) == ("audit.pruned", "operator:test")
    assert told.detail == {"seq": "7", "hash": seventh.hash.hex(), "events": "1"}
    found = report(chained)
    assert (found.fault, found.events, found.first_seq) == (None, 6, 8)
    assert found.checkpoint is not None
    assert found.checkpoint.mark == Mark(7, seventh.hash)
    assert prune(chained, border, actor="test", clock=clock) == {CHAIN: 0}
    write(chained, clock, 1)
    assert report(chained).fault is None


def test_pruning_everything_and_pruning_again_still_verifies_and_comes_to_rest(chained: Database, clock: MovingClock):
    for expected in (7, 0, 0):
        clock.advance(timedelta(days=1))
        assert prune(chained, clock.now(), actor="test", clock=clock) == {CHAIN: expected}
        assert report(chained).fault is None
    assert [row.action for row in rows(chained)] == ["audit.pruned"]


def test_pruning_stops_at_a_chain_that_does_not_hold_and_at_the_future(chained: Database, clock: MovingClock):
    with by_its_owner(chained) as tx:
        changed(actor="somebody else")(tx)
    clock.advance(timedelta(days=1))
    with pytest.raises(Conflict, match="event 4 of chain"):
        prune(chained, clock.now(), actor="test", clock=clock)
    with pytest.raises(InvalidInput):
        prune(chained, clock.now() + timedelta(seconds=1), actor="test", clock=clock)
    assert len(rows(chained)) == 7


def test_a_checkpoint_that_nobody_recorded_is_found(chained: Database, clock: MovingClock):
    third = rows(chained)[2]
    with chained.write() as tx:
        values = {"chain": CHAIN, "seq": 3, "hash": third.hash, "at": clock.now(), "actor": "x", "events": 3}
        tx.execute(insert(audit_checkpoints).values(values))
        tx.execute(delete(audit_events).where(MINE, audit_events.c.seq <= 3))
    fault = report(chained).fault
    assert fault is not None
    assert fault.seq == 3


def test_what_comes_back_before_a_checkpoint_is_found(chained: Database, clock: MovingClock):
    third = columns(rows(chained)[2])
    clock.advance(timedelta(days=1))
    prune(chained, clock.now(), actor="test", clock=clock)
    with by_its_owner(chained) as tx:
        tx.execute(insert(audit_events).values(third))
    fault = report(chained).fault
    assert fault is not None
    assert fault.seq == 3


def test_an_export_is_recorded_and_can_be_verified_by_itself(chained: Database, clock: MovingClock):
    write(chained, clock, 1, UUID(int=8))
    lines = [json.loads(json.dumps(line)) for line in export(chained, CHAIN, actor="operator:me", clock=clock)]
    assert [line["sequence"] for line in lines] == list(range(1, 9))
    assert (lines[-1]["action"], lines[-1]["actor"]) == ("audit.exported", "operator:me")
    last = bytes(32)
    for line, row in zip(lines, rows(chained), strict=True):
        assert line["previousHash"] == last.hex()
        last = link_hash(last, columns(row))
        assert line["hash"] == last.hex()
    both = {line["chain"] for line in export(chained, None, actor="operator:me", clock=clock)}
    assert both == {str(CHAIN), str(UUID(int=8))}
    with pytest.raises(NotFound):
        export(chained, uuid4(), actor="operator:me", clock=clock)


def later_than_second(_: str, names: list[str]) -> set[str]:
    return {name for name in names if name == "__pycache__" or "0002" < name[:4] < "9999"}


def test_the_migration_chains_the_events_that_are_there(empty_url: str, tmp_path: Path, clock: MovingClock):
    old = tmp_path / "migrations"
    shutil.copytree(SCRIPTS, old, ignore=later_than_second)
    database = open_database(empty_url)
    assert upgrade(database, old) == "0002"
    ids = [new_id() for _ in range(2100)]
    names = "id, at, organization_id, actor, action, subject_kind, subject_id, detail"
    places = ":id, :at, :organization_id, 'somebody', 'noun.verb', 'noun', :subject_id, :detail"
    with database.write() as tx:
        plain = (lambda value: value.hex) if database.is_sqlite else (lambda value: value)
        values = [
            {
                "id": plain(item),
                "at": f"2026-01-02 03:04:05.{number:06}" + ("" if database.is_sqlite else "+00:00"),
                "organization_id": None if number % 3 == 0 else plain(CHAIN),
                "subject_id": f"{number}",
                "detail": json.dumps({"b": "ä", "a": f"{number}"}),
            }
            for number, item in enumerate(ids)
        ]
        tx.execute(text(f"INSERT INTO audit_events ({names}) VALUES ({places})"), values[::-1])  # noqa: S608
    upgrade(database)

    with database.read() as tx:
        chained = {chain: list(store.in_order(tx, chain)) for chain in (INSTANCE_CHAIN, CHAIN)}
    assert [len(found) for found in chained.values()] == [700, 1400]
    assert [row.id for row in chained[INSTANCE_CHAIN]] == ids[::3]
    assert {item.fault for item in verify(database)} == {None}
    write(database, clock, 1)
    with pytest.raises((RunpassError, DBAPIError)), database.write() as tx:
        tx.exec_driver_sql("DELETE FROM audit_events")
    assert report(database).events == 1401
    database.close()


def test_an_organization_whose_whole_chain_was_removed_is_found(tenant: Tenant, world: World):
    """Nothing of the trail speaks of it any more; the organization does."""
    with by_its_owner(world.database) as tx:
        for table in (audit_events, audit_heads):
            tx.execute(delete(table).where(table.c.chain == tenant.id))
    (found,) = [item for item in verify(world.database) if item.chain == tenant.id]
    assert found.fault is not None
    assert (found.fault.seq, "whole chain" in found.fault.what) == (1, True)
