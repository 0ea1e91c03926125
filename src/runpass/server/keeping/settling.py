"""What the first server on a restored database does before it serves anybody: nothing of the past is done twice.

A backup knows nothing of what happened after it. A deployment that waited or ran then may have run since, so it is
ended and never given to a runner again; leases of that time are over, so their runners' reports are refused.

SECURITY: a key of the backup may have been retired since, or killed because it leaked, and then every Vault was made to
forget it. So none of them is published or signs once more. No run that goes on needs them.
"""

from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import delete, select, text

from runpass.clock import Clock
from runpass.ids import DeploymentId, OrganizationId, RunLeaseId
from runpass.server.audit import AuditEvent, record
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Database, Transaction
from runpass.server.db.schema.access import console_sessions
from runpass.server.db.schema.compromises import server_processes
from runpass.server.db.schema.deployments import OCCUPYING, WAITING, deployments, run_leases
from runpass.server.db.schema.instance import instance
from runpass.server.deployments import lease_store, log_store, store
from runpass.server.deployments.changing import change_state
from runpass.server.deployments.transitions import CANCELLABLE, Event
from runpass.server.deployments.vault_logins import end_logins
from runpass.server.issuer.key_life import end_all
from runpass.server.keeping.restoring import RESTORED_FROM

_log = structlog.get_logger(__name__)
_BY = "system"
ENDED = "the server was restored from a backup: nobody knows whether this deployment ran after it was made"


@dataclass(frozen=True, slots=True)
class Settling:
    """The work, with what it works on.

    `rotates` is whether signing keys rotate by themselves. Where they do not, somebody brings them to the Vaults by
    hand, and knows which ones these are to trust.
    """

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
        now = self.clock.now()
        with self.database.write() as tx:
            made_at = tx.execute(
                delete(instance).where(instance.c.name == RESTORED_FROM).returning(instance.c.value)
            ).scalar_one_or_none()
            if made_at is None:
                return None
            if self.rotates:
                end_all(tx, now, _BY)
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
