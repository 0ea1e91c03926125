"""`Idempotency-Key`: a request that is sent twice is done once (IETF draft-ietf-httpapi-idempotency-key-header).

The key is stored in the transaction of what it protects, before anything else is decided there: of two identical
requests at once, the second waits for the first and then finds its deployment. A request that failed leaves no key.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Header, Request, Response

from runpass.errors import Conflict, InvalidInput
from runpass.ids import EnvironmentId
from runpass.server.access.dependencies import Caller
from runpass.server.access.permissions import Permission
from runpass.server.db.engine import Transaction
from runpass.server.deployments import store
from runpass.server.deployments.dependencies import Desk
from runpass.server.deployments.model import Deployment
from runpass.server.environments import idempotency_store
from runpass.server.environments.idempotency_store import AskedOnce, Earlier
from runpass.server.http.dependencies import Sealing
from runpass.server.tenancy.lookup import environment_for
from runpass.server.tenancy.model import Environment

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEPT = timedelta(hours=24)

_Key = Annotated[
    str | None,
    Header(
        alias=HEADER,
        min_length=1,
        max_length=255,
        pattern=r"^[\x20-\x7e]+$",
        description="The same key with the same request within 24 hours gives the same deployment again.",
    ),
]


@dataclass(frozen=True, slots=True)
class Done:
    """What a request did: the environment as it is then, and the deployment that it queued."""

    environment: Environment
    deployment: Deployment | None = None


Remember = Callable[[EnvironmentId], None]
"""Called by the work once its environment is there and locked, before it looks at anything else."""


class _AskedBefore(Exception):
    """The key was stored meanwhile."""


async def _asked_once(request: Request, caller: Caller, cipher: Sealing, key: _Key = None) -> AskedOnce | None:
    if key is None:
        return None
    # SECURITY: with the master key, because a body may hold a secret that is short enough to be guessed.
    parts = (request.method.encode(), request.scope["path"].encode(), await request.body())
    return AskedOnce(caller.organization_id, caller.audit_name, key, cipher.fingerprints(*parts))


Once = Annotated[AskedOnce | None, Depends(_asked_once)]


def do_once(
    desk: Desk, asked: AskedOnce | None, response: Response, work: Callable[[Transaction, Remember], Done]
) -> Done:
    """Do this work in a transaction, or give what the same request did before.

    Raises `InvalidInput` if the key was used for another request, `Conflict` if what it did cannot be told yet.
    """
    if asked is None:
        with desk.database.write() as tx:
            done = work(tx, lambda _: None)
    else:
        earlier = _replayed(desk, asked, response)
        if earlier is not None:
            return earlier
        try:
            done = _do_first(desk, asked, work)
        except _AskedBefore:
            earlier = _replayed(desk, asked, response)
            if earlier is None:
                raise Conflict("the same request is being handled", hint="repeat it in a moment") from None
            return earlier
    if done.deployment is not None:
        desk.wakeups.work_arrived(done.deployment.pool_id)
    return done


def _do_first(desk: Desk, asked: AskedOnce, work: Callable[[Transaction, Remember], Done]) -> Done:
    def remember(environment_id: EnvironmentId) -> None:
        if not idempotency_store.insert_key(tx, asked, environment_id, desk.clock.now()):
            raise _AskedBefore

    with desk.database.write() as tx:
        done = work(tx, remember)
        if done.deployment is not None:
            idempotency_store.complete_key(tx, asked, done.deployment.id)
    return done


def _replayed(desk: Desk, asked: AskedOnce, response: Response) -> Done | None:
    with desk.database.read() as tx:
        earlier = idempotency_store.find_earlier(tx, asked)
        if earlier is None:
            return None
        if earlier.fingerprint not in asked.fingerprints:
            raise InvalidInput.of(HEADER, "was used for another request: a new request needs a new key")
        done = _as_it_is_now(tx, desk, earlier)
    response.headers[REPLAYED] = "true"
    return done


def _as_it_is_now(tx: Transaction, desk: Desk, earlier: Earlier) -> Done:
    """SECURITY: who may not see the environment any more is not told of it by an old key either."""
    environment, _ = environment_for(tx, desk.caller, earlier.environment_id, Permission.VIEW_PROJECT)
    deployment = None
    if earlier.deployment_id is not None:
        deployment = store.get_deployment(tx, environment.organization_id, earlier.deployment_id)
    return Done(environment, deployment)
