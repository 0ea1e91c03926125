"""A runner for each way that runs are really kept apart: a user each, as root; bubblewrap, as somebody else."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fake_control_plane import FakeControlPlane
from runner_process import NOBODY, RunnerProcess, until
from services import missing

BY_USER = pytest.param("uid", marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root gives runs users"))
BOTH_WAYS = [BY_USER, "bubblewrap"]


@contextmanager
def isolated(plane: FakeControlPlane, kind: str, **settings: object) -> Iterator[RunnerProcess]:
    """Give a started runner that isolates in this way; where it cannot be had, the test says so."""
    if kind == "bubblewrap" and shutil.which("bwrap") is None:
        missing("bubblewrap", "bwrap is not on PATH")
    how = {"user": NOBODY, "bwrap": True} if kind == "bubblewrap" else {}
    with RunnerProcess(plane, **how, **settings) as runner:
        until(lambda: "runner_started" in runner.log or runner.process.poll() is not None)
        if f'"isolation": "{kind}"' not in runner.log:
            missing(kind, f"it does not work here: {runner.log}")
        yield runner
