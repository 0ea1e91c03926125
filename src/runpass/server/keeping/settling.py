"""What the first server on a restored database does before it serves anybody: nothing of the past is done twice.

A backup knows nothing of what happened after it. A deployment that waited or ran then may have run since, so it is
ended and never given to a runner again; leases of that time are over, so their runners' reports are refused.
"""

from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import delete, select, text

from runpass.clock import Clock
from runpass.errors import Conflict
from runpass.ids import DeploymentId, OrganizationId, RunLeaseId
from runpass.server.audit import AuditEvent, record
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Database, Transaction
from runpass.server.db.schema.access import console_sessions
from runpass.server.db.schema.compromises import server_processes
from runpass.server.db.schema.deployments import OCCUPYING, WAITING, deployments, run_leases
from runpass.server.db.schema.instance import instance
from runpass.server.db.schema.issuer import signing_keys
from runpass.server.deployments import lease_store, log_store, store
from runpass.server.deployments.changing import change_state
from runpass.server.deployments.transitions import CANCELLABLE, Event
from runpass.server.deployments.vault_logins import end_logins
from runpass.server.issuer.key_life import want_rotation
from runpass.server.issuer.keys import KeyState
from runpass.server.keeping.restoring import RESTORED_FROM

_log = structlog.get_logger(__name__)
_BY = "system"
ENDED = "the server was restored from a backup: nobody knows whether this deployment ran after it was made"


@dataclass(frozen=True, slots=True)
class Settling:
    """The work, with what it works on. `rotates` is whether signing keys rotate by themselves."""

    database: Database
    cipher: Cipher
    clock: Clock
    rotates: bool

    def settle(self) -> int | None:
        """Settle a restored database; give how many deployments were ended, None for a database that was not restored.

        Several servers that start at once take turns, and only the first finds something to do.
        """
        if self._made_at() is None:
            return None
        if self.rotates:
            self._want_other_keys()
        now = self.clock.now()
        with self.database.write() as tx:
            made_at = tx.execute(
                delete(instance).where(instance.c.name == RESTORED_FROM).returning(instance.c.value)
            ).scalar_one_or_none()
            if made_at is None:
                return None
            self._end_leases(tx, now)
            for past in (console_sessions, server_processes):  # of browsers and processes of that time
                tx.execute(delete(past))
            ended = self._end_deployments(tx, now)
            detail = {"backupMadeAt": made_at, "deploymentsEnded": str(ended)}
            record(tx, AuditEvent(now, _BY, "instance.restored", "instance", "instance", detail=detail))
        _log.warning("instance.restored", backup_made_at=made_at, deployments_ended=ended)
        return ended

    def _made_at(self) -> str | None:
        with self.database.read() as tx:
            query = select(instance.c.value).where(instance.c.name == RESTORED_FROM)
            return tx.execute(query).scalar_one_or_none()

    def _want_other_keys(self) -> None:
        """Ask for new signing keys: those of the backup may have been retired since, and for a reason."""
        with self.database.read() as tx:
            active = select(signing_keys.c.organization_id).where(signing_keys.c.state == KeyState.ACTIVE.value)
            issuers = set(tx.execute(active).scalars())
        for issuer in issuers:
            try:
                want_rotation(self.database, self.clock, issuer, _BY)
            except Conflict:  # it has been rotated meanwhile
                continue

    def _end_leases(self, tx: Transaction, now: datetime) -> None:
        live = tx.execute(select(run_leases.c.id).where(run_leases.c.ended_at.is_(None))).scalars().all()
        for lease_id in live:
            lease = lease_store.get_lease(tx, RunLeaseId(lease_id), for_change=True)
            if lease is not None and lease_store.end_lease(tx, lease.id, now):
                end_logins(tx, self.cipher, lease, None, now)

    def _end_deployments(self, tx: Transaction, now: datetime) -> int:
        ended = 0
        for group in (OCCUPYING, WAITING):  # each has a partial index that holds just these
            for row in tx.execute(select(deployments.c.id, deployments.c.organization_id).where(text(group))).all():
                deployment = store.get_deployment(tx, OrganizationId(row.organization_id), DeploymentId(row.id))
                if deployment is None:
                    continue
                event = Event.CANCEL if deployment.status in CANCELLABLE else Event.LOSE
                log_store.end_open_steps(tx, deployment.id, now)
                change_state(tx, deployment, event, by=_BY, now=now, values={"error": ENDED})
                ended += 1
        return ended
