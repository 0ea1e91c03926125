"""No statement reads a whole table: that the check finds one that does, and that it sees every statement there is."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from types import CodeType
from typing import Any
from uuid import UUID

import pytest
import structlog
from bench.dataset import Scale, fill
from sqlalchemy import select, text
from starlette.testclient import TestClient

from factories import LEASE, MASTER_KEY, RUN_TIMEOUT_SECONDS, MovingClock, World
from query_plans import (
    EXPLAINER,
    OURS,
    RECORDER,
    SMALL_INDEXES,
    SMALL_TABLES,
    Statement,
    check,
    known_tables,
    table_of,
)
from runpass.ids import EnvironmentId, OrganizationId, ProjectId
from runpass.secret import Secret
from runpass.server.app import build_app
from runpass.server.db.engine import Database
from runpass.server.db.schema import metadata
from runpass.server.db.schema.tenancy import organizations, projects
from runpass.server.deployments import login_store, newest
from runpass.server.deployments import store as deployment_store
from runpass.server.deployments.keeper import settle_once
from runpass.server.deployments.run_leases import LeaseRules, end_expired
from runpass.server.environments.idempotency_store import prune_keys
from runpass.server.environments.lifespan_ends import Lifespans
from runpass.server.keeping.deployment_retention import DeploymentRetention
from runpass.server.opening import Parts, open_parts
from runpass.server.runners import store as runner_store
from runpass.server.settings import ServerSettings
from runpass.server.tenancy.environment_store import list_due
from runpass.server.trail.pruning import prune
from runpass.server.vault_tasks import key_check_store
from runpass.server.vault_tasks import store as task_store
from runpass.server.vault_tasks.known_vaults import known_vaults
from surface_asks import asks
from surface_scene import Things, basic, furnish

AT_FIRST = datetime(2020, 1, 1, tzinfo=UTC)
BAD = {
    "a column without an index": "SELECT id FROM environments WHERE workspace_name = 'x'",
    "counting": "SELECT count(*) FROM projects",
    "the newest that matches": "SELECT id FROM deployments WHERE started_by = 'x' ORDER BY id DESC LIMIT 1",
    "the second column of an index": "SELECT id FROM projects WHERE name = 'x'",
    "a change": "UPDATE deployments SET comment = '' WHERE started_by = 'x'",
    "a deletion": "DELETE FROM api_keys WHERE name = 'x'",
    "another name": "SELECT past.id FROM deployments AS past WHERE past.comment = 'x'",
    "a join": "SELECT p.id FROM projects AS p JOIN environments AS e ON e.workspace_name = p.name WHERE p.id = e.id",
    "a condition inside": "SELECT id FROM runners WHERE id IN (SELECT runner_id FROM run_leases WHERE fencing_token=1)",
    "two branches": "SELECT id FROM templates WHERE organization_id IS NULL OR name = 'x'",
}
GOOD = {
    "no table": "SELECT 1",
    "by id": "SELECT name FROM projects WHERE id = '0198f0000000700080000000000000a1'",
    "a page in the order of an index": (
        "SELECT id FROM deployments WHERE environment_id = '0198f0000000700080000000000000a1' ORDER BY id DESC LIMIT 9"
    ),
    "a subquery over what was looked up": (
        "SELECT count(*) FROM (SELECT DISTINCT status FROM deployments"
        " WHERE environment_id = '0198f0000000700080000000000000a1') AS found"
    ),
    "a small table": "SELECT value FROM instance",
    "what is going on": "SELECT pool_id FROM deployments WHERE status IN ('QUEUED', 'APPROVED')",
}


def statement(database: Database, sql: str) -> Statement:
    nothing: Any = () if database.is_sqlite else None
    return Statement(database.engine.dialect.name, sql, sql, nothing, "a test", database.engine.url)


@pytest.mark.parametrize("what", BAD)
def test_a_statement_that_reads_a_whole_table_is_found(database: Database, what: str):
    assert EXPLAINER.scans(statement(database, BAD[what]))


@pytest.mark.parametrize("what", GOOD)
def test_a_statement_that_looks_things_up_is_not(database: Database, what: str):
    assert EXPLAINER.scans(statement(database, GOOD[what])) == []


def test_a_deletion_that_must_search_for_what_refers_to_the_row_is_found(database: Database):
    """The databases check foreign keys by themselves, and no plan shows what that reads."""
    scans = EXPLAINER.scans(statement(database, "DELETE FROM runners WHERE key_sha256 = NULL"))
    assert [scan.name for scan in scans if scan.name.startswith("run_leases")]
    assert EXPLAINER.scans(statement(database, "DELETE FROM credentials WHERE id = NULL")) == []


def sent_by(file: str) -> Callable[[Database], None]:
    """Give a function that stands, as far as anybody can see, in this file and reads a whole table."""
    found: dict[str, Any] = {"text": text}
    source = (
        "def ask(database):\n    with database.read() as tx:\n        tx.execute(text('SELECT count(*) FROM projects'))"
    )
    code: CodeType = compile(source, file, "exec")
    exec(code, found)  # noqa: S102 -- the source stands above
    return found["ask"]


def test_whatever_the_server_sends_is_recorded_and_fails_the_test(database: Database):
    sent_by(f"{OURS}server/tenancy/store.py")(database)
    with pytest.raises(pytest.fail.Exception, match=r"reads all of projects.* for server/tenancy/store\.py:3 ask"):
        check(RECORDER.take())


@pytest.mark.parametrize("file", [f"{OURS}server/db/migrations/versions/0001.py", __file__])
def test_what_tests_and_migrations_send_is_not(database: Database, file: str):
    RECORDER.take()
    with RECORDER.recording() as found:
        sent_by(file)(database)
    assert [item.where for item in found.values() if "ask" in item.where] == []


def test_what_may_be_read_whole_exists_and_says_why():
    indexes = {index.name: index for table in metadata.tables.values() for index in table.indexes}
    assert set(SMALL_TABLES) <= known_tables()
    assert set(SMALL_INDEXES) <= set(indexes)
    assert all(table_of(name) == indexes[name].table.name for name in SMALL_INDEXES)
    for name in SMALL_INDEXES:
        assert indexes[name].dialect_options["sqlite"]["where"] is not None, f"{name} is as large as its table"
    assert all(len(why) > 40 for why in (*SMALL_TABLES.values(), *SMALL_INDEXES.values()))


def test_the_newest_of_an_environment_that_has_most_deployments_are_found_by_their_environment(database: Database):
    """Its deployments are older than all others here: reading by id would go through those first."""
    dataset = fill(database, Scale(organizations=6, large_projects=2, large_deployments=600))
    environment_id = EnvironmentId(UUID(dataset.large.environment))
    query = deployment_store.page_query(environment_id, limit=100)
    with database.read() as tx:
        written = query.compile(tx.engine, compile_kwargs={"literal_binds": True})
        how = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
        plan = "\n".join(str(row) for row in tx.exec_driver_sql(f"{how} {written}"))
        assert len(deployment_store.list_deployments(tx, environment_id, limit=100)) == 100
    assert "ix_deployments_environment_id_id" in plan, plan
    assert "pk_deployments" not in plan


@pytest.mark.parametrize("refused", [False, True])
def test_the_newest_of_many_projects_cost_one_look_into_an_index_for_each(database: Database, *, refused: bool):
    """However many deployments a project has: neither are they sorted, nor is any of them read to be left out."""
    dataset = fill(database, Scale(organizations=6, large_projects=20, large_deployments=600))
    organization_id, project_id = OrganizationId(UUID(dataset.large.organization)), UUID(dataset.large.project)
    queries = (
        newest.projects_query(organization_id, projects.c.hierarchy != "", 10, refused=refused),
        newest.of_project_query(ProjectId(project_id), 10, refused=refused),
    )
    with database.read() as tx:
        for query in queries:
            written = query.compile(tx.engine, compile_kwargs={"literal_binds": True})
            how = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
            plan = "\n".join(str(row) for row in tx.exec_driver_sql(f"{how} {written}"))
            assert ("ix_deployments_refused" if refused else "ix_deployments_project_id_id") in plan, plan
            assert "pk_deployments" not in plan, plan
            assert "Seq Scan on deployments" not in plan, plan
        found = newest.newest_deployments(tx, organization_id, projects.c.hierarchy != "", 10, refused=refused)
    assert len(found) == (0 if refused else 10)


@pytest.fixture
def parts(empty_url: str, tmp_path: Path, clock: MovingClock) -> Iterator[Parts]:
    """A server on either database; its clock moves when the test says so."""
    directory = tmp_path / "server"
    directory.mkdir(mode=0o700)
    secret = Secret(MASTER_KEY.hex())
    settings = ServerSettings(data_dir=directory, database_url=empty_url, master_key=secret, long_poll_seconds=0)
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    opened = open_parts(settings, clock)
    yield opened
    opened.close()
    structlog.reset_defaults()


def test_every_request_and_all_work_in_the_background_looks_things_up(parts: Parts, clock: MovingClock):
    world = World(parts.database, parts.cipher, clock)
    with RECORDER.recording() as found:
        bad = ask_everything(parts, world)
        clock.advance(LEASE * 100_000)
        work_in_the_background(parts)
    assert bad == []
    assert [str(scan) for item in found.values() for scan in EXPLAINER.scans(item)] == []
    assert len(found) >= 100


def ask_everything(parts: Parts, world: World) -> list[tuple[str, int, str]]:
    """Send every request of the surface; give what failed.

    Those that change something change one tenant, until there is nothing left of it that the next one needs: that one
    gets a new tenant, and must succeed there.
    """
    reading = furnish(world, "reading", "value")
    reading.tenant.set_organization(policies={"identity_issuer": "prepared"})
    parts.rings.prepare(reading.tenant.id)
    changing = furnish(world, "changing", "value")
    bad = []
    with TestClient(build_app(parts)) as client:
        for number, ask in enumerate(asks(reading)):
            reads = ask.route.startswith("GET ")
            answer = sent(client, number, reading if reads else changing)
            if not (reads or is_good(answer)):
                changing = furnish(world, f"changing {number}", "value")
                answer = sent(client, number, changing)
            if not is_good(answer):
                bad.append((ask.name, answer.status_code, answer.text))
    return bad


def sent(client: TestClient, number: int, things: Things) -> Any:
    ask = asks(things)[number]
    return ask.send(client, None if ask.by_bearer else basic(things.callers["Admin"]))


def is_good(answer: Any) -> bool:
    return bool(answer.is_success or answer.status_code == HTTPStatus.NOT_IMPLEMENTED)


def work_in_the_background(parts: Parts) -> None:
    """Do once what the server does by itself, and what its operator lets it do."""
    database, cipher, clock = parts.database, parts.cipher, parts.clock
    assert end_expired(LeaseRules(database, cipher, clock, LEASE))
    with database.read() as tx:
        due = list_due(tx, clock.now(), behind=None, limit=1)
        assert due
        list_due(tx, clock.now(), behind=(AT_FIRST, due[0].id), limit=1)
    assert Lifespans(database, cipher, clock, RUN_TIMEOUT_SECONDS).end_due()
    with database.write() as tx:
        assert deployment_store.pools_with_work(tx)
        task_store.pools_with_tasks(tx, clock.now())
        login_store.pools_with_sweeps(tx, clock.now())
        key_check_store.pools_with_checks(tx, clock.now())
        known_vaults(tx)
        prune_keys(tx, clock.now(), limit=10)
        for organization in tx.execute(select(organizations.c.id)).scalars():
            runner_store.prune_join_tokens(tx, organization, clock.now())
    settle_once(database, clock)
    DeploymentRetention(database, clock, LEASE).work()
    assert prune(database, clock.now(), actor="operator", clock=clock)
