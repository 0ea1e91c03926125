"""The runner's settings: environment (`RUNPASS_*`), file and options → one frozen `RunnerSettings`.

The only module of the runner that reads the environment.
"""

import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, model_validator

from runpass.configuration import Loaded, load
from runpass.errors import ConfigurationError
from runpass.protocol.registration import Isolation
from runpass.secret import Secret

PREFIX = "RUNPASS_"
FILE_VARIABLE = "RUNPASS_RUNNER_SETTINGS"
USUAL_NAMES = re.compile(r"(LANG|TZ|LC_[A-Z]+)\Z")
"""Names of the host's environment that every job gets: language and time zone, nothing else."""

DEFAULT_UID_BASE: Final = 1_900_000_000
"""Above the subordinate ids of usual hosts (from 100000) and those of systemd's containers (to 1879048191)."""


def _split(separator: str) -> BeforeValidator:
    def split(value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(item for item in (part.strip() for part in value.split(separator)) if item)

    return BeforeValidator(split)


class RunnerSettings(BaseModel):
    """Everything an operator can decide about a runner."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: str = Field(min_length=1, max_length=2048, description="Where the server answers, without a trailing slash.")
    join_token: Secret | None = Field(
        default=None, description="Token that lets this runner join, used at the first start only."
    )
    join_token_file: Path | None = Field(default=None, description="File with the join token, best kept at 0600.")
    state_dir: Path = Field(
        default=Path("/var/lib/runpass-runner"),
        description="Where the runner keeps its key (0600 in a directory of 0700).",
    )
    work_dir: Path = Field(
        default=Path("/var/lib/runpass-work"),
        description="Where runs have their workspaces. Other users must be able to pass through its parents.",
    )
    name: str = Field(
        default_factory=socket.gethostname, min_length=1, max_length=255, description="What the runner is called."
    )
    capacity: int = Field(
        default=2, ge=1, le=60, description="How many runs go on at once (1 where runs cannot be isolated)."
    )
    tool_path: Annotated[tuple[Path, ...], _split(":")] = Field(
        default=(), description="Directories put in front of the PATH of jobs, colon-separated."
    )
    uid_base: int = Field(
        default=DEFAULT_UID_BASE,
        ge=1_024,
        le=2_000_000_000,
        multiple_of=64,  # so that the ranges of two runners are the same or apart, never overlapping
        description="First user id of those that runs get, as root: a multiple of 64 that nothing of the host has.",
    )
    uid_lock_dir: Path = Field(
        default=Path("/run/runpass-uids"),
        description="Where runners of this host agree on who uses which user ids: the same for all of them.",
    )
    isolation: Isolation | None = Field(
        default=None,
        description="The isolation that this runner must have: `uid`, `bubblewrap` or `none`. Empty: the best that the"
        " machine allows.",
    )
    allow_unisolated: bool = Field(
        default=False,
        description="Run jobs as the runner's own user where nothing better can be had: they can read"
        " the runner's key.",
    )
    ca_bundle: Path | None = Field(
        default=None, description="PEM file of certificate authorities for the server and the Vaults."
    )
    passthrough: Annotated[tuple[str, ...], _split(",")] = Field(
        default=(), description="Names of the runner's own environment that jobs get too, comma-separated."
    )
    drain_seconds: float = Field(
        default=600.0, ge=0, le=86_400, description="How long runs may go on after the first SIGTERM."
    )
    grace_seconds: float = Field(
        default=10.0, ge=0, le=600, description="Time between SIGTERM and SIGKILL for commands that must end."
    )
    job_memory_mib: int | None = Field(
        default=None,
        ge=16,
        description="Memory that one run may use. Empty: seven eighths of the machine's, divided by `capacity`, and"
        " never less than 512 MiB.",
    )
    job_processes: int = Field(
        default=4_096, ge=16, description="Processes and threads together that one run may have at once."
    )
    job_disk_mib: int = Field(
        default=10_240, ge=1, description="Disk that one run may use, and the largest size of one of its files."
    )
    job_files: int = Field(
        default=1_000_000, ge=100, description="Files and directories that one run may have at once."
    )
    job_open_files: int = Field(
        default=16_384, ge=64, description="Files that one process of a run may have open, if the runner itself may."
    )
    least_free_mib: int = Field(
        default=512, ge=0, description="With less free disk below `work_dir`, the runner takes no more work."
    )
    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$", description="Least level logged.")

    _host_environment: dict[str, str] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> "RunnerSettings":
        for name in ("state_dir", "work_dir", "uid_lock_dir"):
            if not getattr(self, name).is_absolute():
                raise ValueError(f"{name} must be an absolute path")
        if any(not path.is_absolute() or ":" in str(path) for path in self.tool_path):
            raise ValueError("tool_path must be absolute paths")
        if self.state_dir.is_relative_to(self.work_dir) or self.work_dir.is_relative_to(self.state_dir):
            raise ValueError("state_dir and work_dir must not stand in one another")
        if any(name.startswith(PREFIX) for name in self.passthrough):
            raise ValueError("passthrough must not name runpass's own settings")
        return self

    @property
    def host_environment(self) -> Mapping[str, str]:
        """Give the part of the runner's own environment that jobs get: language, time zone, `passthrough`."""
        return self._host_environment

    def read_join_token(self) -> Secret | None:
        """Give the join token, from the file if one is named."""
        if self.join_token_file is None:
            return self.join_token
        try:
            return Secret(self.join_token_file.read_text(encoding="utf-8").strip())
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"the join token file {self.join_token_file} cannot be read") from error


def load_settings(
    *, file: Path | None = None, environment: Mapping[str, str] | None = None, **options: Any
) -> Loaded[RunnerSettings]:
    """Give the runner's settings; `file` defaults to what `RUNPASS_RUNNER_SETTINGS` names.

    Raises `ConfigurationError` that names every bad setting.
    """
    environment = os.environ if environment is None else environment  # noqa: TID251 -- settings.py may
    named = environment.get(FILE_VARIABLE)
    where = file or (Path(named) if named else None)
    loaded = load(RunnerSettings, environment=environment, prefix=PREFIX, file=where, options=options)
    settings = loaded.settings
    settings._host_environment.update(  # noqa: SLF001 -- the model's other half
        {name: text for name, text in environment.items() if USUAL_NAMES.match(name) or name in settings.passthrough}
    )
    return loaded
