"""What stops a server's start: each with one sentence and, where there is one, the next step."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from factories import MASTER_KEY
from runpass.errors import ConfigurationError
from runpass.secret import Secret
from runpass.server.db.engine import open_database
from runpass.server.opening import open_parts, prepare_directory
from runpass.server.settings import ServerSettings

UNPRIVILEGED = 65534
START = """
import sys
from pathlib import Path
from runpass.errors import ConfigurationError
from runpass.server.opening import open_parts
from runpass.server.settings import ServerSettings
try:
    open_parts(ServerSettings(data_dir=Path(sys.argv[1]))).close()
except ConfigurationError as error:
    print(error.message)
    raise SystemExit(3)
"""


@pytest.fixture
def settings(tmp_path: Path, empty_url: str) -> ServerSettings:
    return ServerSettings(data_dir=tmp_path / "data", database_url=empty_url, master_key=Secret(MASTER_KEY.hex()))


def execute(url: str, statement: str) -> None:
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).touch(mode=0o600)
    database = open_database(url)
    with database.write() as tx:
        tx.execute(text(statement))
    database.close()


def refusal(settings: ServerSettings) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as error:
        open_parts(settings)
    assert "\n" not in error.value.message
    assert MASTER_KEY.hex() not in error.value.message
    return error.value


def test_a_server_starts_and_starts_again(settings: ServerSettings):
    first = open_parts(settings)
    first.close()
    second = open_parts(settings)
    second.close()
    assert first.ring.signing.kid == second.ring.signing.kid
    assert settings.data_dir.stat().st_mode & 0o777 == 0o700


def test_a_database_of_an_unknown_revision_stops_the_start(settings: ServerSettings):
    open_parts(settings).close()
    execute(settings.database_url, "UPDATE alembic_version SET version_num = '9999_later'")
    assert "at revision 9999_later, which is newer than this version" in refusal(settings).message


def test_a_database_that_belongs_to_something_else_stops_the_start(settings: ServerSettings):
    execute(settings.database_url, "CREATE TABLE theirs (id INTEGER)")
    error = refusal(settings)
    assert "tables that are not runpass's" in error.message
    assert error.hint == "give it one of its own"


def test_another_master_key_stops_the_start(settings: ServerSettings):
    open_parts(settings).close()
    error = refusal(settings.model_copy(update={"master_key": Secret("00" * 32)}))
    assert "the database needs master key" in error.message


@pytest.mark.parametrize("key", ["", "00", "zz" * 32, "00" * 33])
def test_a_master_key_of_the_wrong_form_stops_the_start(settings: ServerSettings, key: str):
    message = refusal(settings.model_copy(update={"master_key": Secret(key)})).message
    assert "master" in message
    assert "32 bytes" in message or "64 hex digits" in message


class TestFiles:
    """What the file system does to a start: the same whichever database there is, so SQLite stands for both."""

    @pytest.fixture
    def kind(self) -> str:
        return "sqlite"

    def test_a_directory_that_others_can_look_into_stops_the_start(self, settings: ServerSettings):
        settings.data_dir.mkdir(mode=0o755)
        error = refusal(settings)
        assert "is open to others (mode 0755)" in error.message
        assert error.hint == f"run: chmod 0700 {settings.data_dir}"

    def test_a_file_where_the_directory_should_be_stops_the_start(self, settings: ServerSettings):
        settings.data_dir.write_text("")
        assert "cannot be written" in refusal(settings).message

    def test_a_master_key_file_that_others_can_read_stops_the_start(self, settings: ServerSettings, tmp_path: Path):
        file = tmp_path / "master.key"
        file.write_bytes(MASTER_KEY)
        file.chmod(0o640)
        with_file = settings.model_copy(update={"master_key": None, "master_key_file": file})
        error = refusal(with_file)
        assert "is open to others (mode 0640)" in error.message
        file.chmod(0o600)
        open_parts(with_file).close()
        file.write_bytes(MASTER_KEY[:-1])
        assert "must be exactly 32 bytes" in refusal(with_file).message

    def test_a_master_key_file_is_made_once_and_for_its_owner_alone(self, settings: ServerSettings, tmp_path: Path):
        file = tmp_path / "apart" / "master.key"
        with_file = settings.model_copy(update={"master_key": None, "master_key_file": file})
        open_parts(with_file).close()
        made = file.read_bytes()
        open_parts(with_file).close()
        assert file.read_bytes() == made
        assert len(made) == 32
        assert file.stat().st_mode & 0o777 == 0o600

    def test_a_file_that_is_no_database_stops_the_start(self, settings: ServerSettings, tmp_path: Path):
        file = tmp_path / "empty.db"
        file.write_bytes(b"this is not a database, but it is long enough to look like one" * 100)
        file.chmod(0o600)
        assert refusal(settings).message == "the database cannot be opened: file is not a database"

    def test_a_directory_for_the_database_that_is_not_there_stops_the_start(self, settings: ServerSettings):
        elsewhere = settings.model_copy(update={"database_url": "sqlite:////nowhere/at/all.db"})
        assert (
            refusal(elsewhere).message
            == "the database file /nowhere/at/all.db cannot be written: No such file or directory"
        )

    def test_a_database_file_that_others_can_read_stops_the_start(self, settings: ServerSettings, tmp_path: Path):
        open_parts(settings).close()
        file = tmp_path / "empty.db"
        assert file.stat().st_mode & 0o777 == 0o600
        file.chmod(0o644)
        error = refusal(settings)
        assert "is open to others (mode 0644)" in error.message
        assert error.hint == f"run: chmod 0600 {file}"

    def test_a_database_that_does_not_answer_stops_the_start_without_its_password(self, settings: ServerSettings):
        url = "postgresql://runpass:canary@127.0.0.1:1/runpass"
        message = refusal(settings.model_copy(update={"database_url": url})).message
        assert message.startswith("the database cannot be opened: connection failed")
        assert "canary" not in message

    @pytest.mark.parametrize("url", ["mysql://x/y", "nonsense"])
    def test_a_database_of_another_kind_stops_the_start(self, settings: ServerSettings, url: str):
        assert "database" in refusal(settings.model_copy(update={"database_url": url})).message

    def test_a_read_only_directory_stops_the_start(self, settings: ServerSettings):
        settings.data_dir.mkdir(mode=0o500)
        started = start_unprivileged(settings.data_dir)
        assert (started.returncode, started.stdout.strip()) == (
            3,
            f"the directory {settings.data_dir} cannot be written: Permission denied",
        )

    def test_a_full_disk_stops_the_start_and_leaves_no_half_written_file(self, settings: ServerSettings):
        settings.data_dir.mkdir(mode=0o700)
        limit = 500_000  # less than the probe writes, so that the last part of it is refused
        script = START.replace(
            "import sys\n", f"import resource, sys\nresource.setrlimit({LIMIT}, ({limit}, {limit}))\n"
        )
        started = run(script, settings.data_dir)
        assert (started.returncode, started.stdout.strip()) == (
            3,
            f"the directory {settings.data_dir} cannot be written: File too large",
        )
        assert list(settings.data_dir.iterdir()) == []

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
    def test_a_full_file_system_stops_the_start(self, settings: ServerSettings):
        settings.data_dir.mkdir(mode=0o700)
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=512k,mode=0700", "tmpfs", settings.data_dir],
            capture_output=True,
            check=False,
        )
        if mounted.returncode != 0:
            pytest.skip("mounting is not permitted here; the test above covers a write that is cut short")
        try:
            with pytest.raises(ConfigurationError, match="cannot be written: No space left on device"):
                prepare_directory(settings.data_dir)
            assert list(settings.data_dir.iterdir()) == []
        finally:
            subprocess.run(["umount", settings.data_dir], check=True)


LIMIT = int(resource.RLIMIT_FSIZE)


def run(script: str, directory: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, str(directory)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def start_unprivileged(directory: Path) -> subprocess.CompletedProcess[str]:
    """Start as somebody whom file modes stop; root passes them all."""
    if os.geteuid() != 0:
        return run(START, directory)
    for parent in directory.parents[:3]:  # pytest's own, which it keeps to itself
        parent.chmod(parent.stat().st_mode | 0o011)
    os.chown(directory, UNPRIVILEGED, UNPRIVILEGED)
    become = f"import os\nos.setgroups([])\nos.setgid({UNPRIVILEGED})\nos.setuid({UNPRIVILEGED})\ntry:\n"
    return run(START.replace("try:\n", become, 1), directory)
