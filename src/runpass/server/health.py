"""Is the process there (`/healthz`), can it work (`/readyz`), and how does it fare (`/metrics`)."""

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runpass.errors import RunpassError
from runpass.server.db.engine import Database
from runpass.server.db.migrate import current, head
from runpass.server.issuer.ring import KeyRing


class Health:
    """The operator's public doors. They name parts, never contents."""

    def __init__(self, database: Database, ring: KeyRing) -> None:
        self._database = database
        self._ring = ring

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
        """Answer 200 when database, migrations and signing key are all there, 503 otherwise; name each."""
        checks = await run_in_threadpool(self._checks)
        ready = all(checks.values())
        return JSONResponse({"status": "ready" if ready else "not ready", "checks": checks}, 200 if ready else 503)

    async def metrics(self, _: Request) -> Response:
        """Answer metrics in Prometheus' text format."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    def _checks(self) -> dict[str, bool]:
        return {"database": self._database_answers(), "migrations": self._is_migrated(), "signingKey": self._can_sign()}

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
            return bool(self._ring.signing)
        except RunpassError:
            return False
