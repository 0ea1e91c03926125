"""Secrets that were printed, masked: kept by name and step, told once, and no more of them than so many."""

from sqlalchemy import select

from factories import Tenant, World, holder
from runpass.protocol.reports import MAX_LEAKS, MAX_SECRET_NAME, Leak, Report
from runpass.protocol.run_lease import RunLease
from runpass.server.db.schema.audit import audit_events
from runpass.server.deployments import store
from runpass.server.deployments.answers import deployment_answer, deployment_answers
from runpass.server.deployments.run_leases import save_report, take
from runpass.server.runners.model import Runner


def begin(tenant: Tenant, world: World) -> tuple[Runner, RunLease]:
    _, environment = tenant.somewhere_to_deploy()
    tenant.queue(environment)
    runner = tenant.runner()
    lease = take(world.rules, runner)
    assert lease is not None
    return runner, lease


def tell(world: World, runner: Runner, lease: RunLease, *pairs: tuple[str, str]) -> None:
    leaks = tuple(Leak(secret=secret, step=step) for secret, step in pairs)
    save_report(world.rules, holder(runner, lease), Report(fencing_token=lease.fencing_token, leaks=leaks))


def test_a_leak_is_kept_once_shown_and_audited(tenant: Tenant, world: World):
    runner, lease = begin(tenant, world)
    tell(world, runner, lease, ("DB_PASSWORD", "shell:1"), ("DB_PASSWORD", "shell:1"))
    tell(world, runner, lease, ("DB_PASSWORD", "shell:1"), ("secrets/db.password", "shell:2"))
    with world.database.read() as tx:
        deployment = store.get_deployment(tx, tenant.id, lease.run.deployment_id)
        assert deployment is not None
        shown = deployment_answer(tx, world.cipher, deployment).leaks
        in_list = deployment_answers(tx, [deployment])[0].leaks
        leaked = select(audit_events).where(audit_events.c.action == "secret.leaked")
        events = tx.execute(leaked.order_by(audit_events.c.seq)).all()
    assert [(leak.secret, leak.step) for leak in shown] == [
        ("DB_PASSWORD", "shell:1"),
        ("secrets/db.password", "shell:2"),
    ]
    assert in_list == []
    assert [(event.detail["secret"], event.detail["step"], event.actor) for event in events] == [
        ("DB_PASSWORD", "shell:1", runner.audit_name),
        ("secrets/db.password", "shell:2", runner.audit_name),
    ]
    assert {event.subject_id for event in events} == {str(deployment.id)}


def test_a_runner_that_makes_leaks_up_fills_no_table(tenant: Tenant, world: World):
    runner, lease = begin(tenant, world)
    for batch in range(3):
        made_up = [(f"{batch}-{number}-".ljust(MAX_SECRET_NAME, "\u00e9"), "shell:1") for number in range(MAX_LEAKS)]
        tell(world, runner, lease, *made_up)
    with world.database.read() as tx:
        deployment = store.get_deployment(tx, tenant.id, lease.run.deployment_id)
        leaked = select(audit_events).where(audit_events.c.action == "secret.leaked")
        events = tx.execute(leaked.order_by(audit_events.c.seq)).all()
    assert deployment is not None
    assert len(deployment.leaks) == len(events) == MAX_LEAKS
