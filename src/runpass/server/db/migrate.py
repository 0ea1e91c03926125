"""Schema upgrades with Alembic, driven from here: forwards only, in one transaction."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from runpass.errors import ConfigurationError
from runpass.server.db.engine import Database, Transaction

SCRIPTS = Path(__file__).parent / "migrations"
_LOCK = 7_308_332_183_341_888_371
"""PostgreSQL's advisory lock of whoever changes the schema: an arbitrary number, the same in every version."""


def upgrade(database: Database, scripts: Path = SCRIPTS) -> str:
    """Bring the schema to the newest revision; give that revision.

    Raises `ConfigurationError` for a database that is ahead, or not ours.
    """
    with database.write() as tx:
        _keep_others_out(tx)
        now = _revision(tx)
        if now is None:
            _refuse_foreign(tx)
        elif now not in _known(scripts):
            raise _not_ours_to_change(now, scripts)
        _upgrade(tx, scripts)
    return head(scripts)


def head(scripts: Path = SCRIPTS) -> str:
    """Give the newest revision this code knows."""
    return ScriptDirectory.from_config(_config(scripts)).get_current_head() or ""


def is_known(revision: str, scripts: Path = SCRIPTS) -> bool:
    """Whether this code knows a revision, its own or an earlier one."""
    return revision in _known(scripts)


def create_at(tx: Transaction, revision: str, scripts: Path = SCRIPTS) -> None:
    """Make the schema that an empty database had at a revision."""
    _keep_others_out(tx)
    _upgrade(tx, scripts, revision)


def current(database: Database) -> str | None:
    """Give the schema's revision; None for an empty database."""
    with database.read() as tx:
        return _revision(tx)


def prepare(database: Database, scripts: Path = SCRIPTS) -> None:
    """Make the schema of an empty database; refuse one that is behind, ahead, or not ours.

    Servers that start at the same moment take turns. Raises `ConfigurationError` with what to do.
    """
    if current(database) == head(scripts):
        return
    with database.write() as tx:
        _keep_others_out(tx)
        now = _revision(tx)
        if now == head(scripts):
            return
        if now is not None:
            raise _not_ours_to_change(now, scripts)
        _refuse_foreign(tx)
        _upgrade(tx, scripts)


def _refuse_foreign(tx: Transaction) -> None:
    if inspect(tx).get_table_names():
        raise ConfigurationError("the database holds tables that are not runpass's", hint="give it one of its own")


def _known(scripts: Path) -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(_config(scripts)).walk_revisions()}


def _not_ours_to_change(now: str, scripts: Path) -> ConfigurationError:
    if now in _known(scripts):
        return ConfigurationError(
            f"the database is at revision {now}, this version needs {head(scripts)}", hint="run: runpass migrate"
        )
    return ConfigurationError(f"the database is at revision {now}, which is newer than this version of runpass")


def _revision(tx: Transaction) -> str | None:
    return MigrationContext.configure(tx).get_current_revision()


def _keep_others_out(tx: Transaction) -> None:
    if tx.dialect.name == "postgresql":  # on SQLite the writing transaction itself does
        tx.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def _upgrade(tx: Transaction, scripts: Path, to: str = "head") -> None:
    config = _config(scripts)
    config.attributes["connection"] = tx
    command.upgrade(config, to)


def _config(scripts: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    return config
