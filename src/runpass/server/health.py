"""Is the process there (`/healthz`), can it work (`/readyz`), and how does it fare (`/metrics`)."""

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runpass.errors import RunpassError
from runpass.observability.metrics import KEY_RING_AGE, NEXT_ROTATION, SIGNING_KEY_AGE, SIGNING_KEYS
from runpass.server.db.engine import Database
from runpass.server.db.migrate import current, head
from runpass.server.issuer.rings import Rings
from runpass.server.issuer.watching import KeyFacts, key_facts


class Health:
    """The operator's public doors. They name parts, never contents."""

    def __init__(self, database: Database, rings: Rings) -> None:
        self._database = database
        self._rings = rings

    def routes(self) -> list[Route]:
        """Give the routes."""
        return [
            Route("/healthz", self.healthz, methods=["GET"]),
            Route("/readyz", self.readyz, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
        ]

    async def healthz(self, _: Request) -> Response:
        """Answer that the process runs."""
        return JSONResponse({"status": "ok"})

    async def readyz(self, _: Request) -> Response:
        """Answer 200 when database, migrations and signing keys are all there, 503 otherwise; name each."""
        checks = await run_in_threadpool(self._checks)
        ready = all(checks.values())
        keys = _shown(key_facts(self._rings))
        body = {"status": "ready" if ready else "not ready", "checks": checks, "signingKey": keys}
        return JSONResponse(body, 200 if ready else 503)

    async def metrics(self, _: Request) -> Response:
        """Answer metrics in Prometheus' text format."""
        _measure(key_facts(self._rings))
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    def _checks(self) -> dict[str, bool]:
        return {
            "database": self._database_answers(),
            "migrations": self._is_migrated(),
            "signingKey": self._can_sign(),
            "publishedKeys": self._publishes(),
        }

    def _database_answers(self) -> bool:
        try:
            with self._database.read() as tx:
                return bool(tx.execute(select(1)).scalar_one() == 1)
        except RunpassError:
            return False

    def _is_migrated(self) -> bool:
        try:
            return current(self._database) == head()
        except RunpassError:
            return False

    def _can_sign(self) -> bool:
        try:
            return bool(self._rings.shared.signing)
        except RunpassError:
            return False

    def _publishes(self) -> bool:
        """Whether there is a key set that is known to be right. One key that is withheld must not stop all servers."""
        try:
            return bool(self._rings.shared.current.keys)
        except RunpassError:
            return False


def _shown(facts: KeyFacts) -> dict[str, object]:
    return {
        "activeForSeconds": facts.active_for_seconds,
        "nextRotationAt": facts.next_rotation and facts.next_rotation.isoformat(timespec="seconds"),
        "ringAgeSeconds": facts.ring_age_seconds,
        "withheldKeys": facts.withheld,
    }


def _measure(facts: KeyFacts) -> None:
    SIGNING_KEY_AGE.set(facts.active_for_seconds or 0)
    NEXT_ROTATION.set(facts.next_rotation.timestamp() if facts.next_rotation else 0)
    KEY_RING_AGE.set(facts.ring_age_seconds)
    for state, number in facts.by_state.items():
        SIGNING_KEYS.labels(state).set(number)
