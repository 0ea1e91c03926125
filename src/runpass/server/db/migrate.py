"""Schema upgrades with Alembic, driven from here: forwards only, in one transaction."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from runpass.errors import ConfigurationError
from runpass.server.db.engine import Database

_SCRIPTS = Path(__file__).parent / "migrations"


def upgrade(database: Database) -> str:
    """Bring the schema to the newest revision; give that revision."""
    config = _config()
    with database.write() as tx:
        config.attributes["connection"] = tx
        command.upgrade(config, "head")
    return head()


def head() -> str:
    """Give the newest revision this code knows."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def current(database: Database) -> str | None:
    """Give the schema's revision; None for an empty database."""
    with database.read() as tx:
        return MigrationContext.configure(tx).get_current_revision()


def prepare(database: Database) -> None:
    """Make the schema of an empty database; refuse one that is behind, ahead, or not ours.

    Raises `ConfigurationError` with what to do.
    """
    now = current(database)
    if now == head():
        return
    if now is not None:
        known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
        if now in known:
            raise ConfigurationError(
                f"the database is at revision {now}, this version needs {head()}", hint="run: runpass migrate"
            )
        raise ConfigurationError(f"the database is at revision {now}, which is newer than this version of runpass")
    with database.read() as tx:
        foreign = bool(inspect(tx).get_table_names())
    if foreign:
        raise ConfigurationError("the database holds tables that are not runpass's", hint="give it one of its own")
    upgrade(database)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    return config
