"""The watch over a run, where it cannot look."""

import asyncio
from pathlib import Path

from runpass.runner.limits import MIB, Limits
from runpass.runner.stop import Reason, Stop
from runpass.runner.watch import MOST_FAILED, UNMEASURED, Watch
from runpass.runner.workspace import Workspace

LIMITS = Limits(memory_bytes=64 * MIB, processes=40, disk_bytes=8 * MIB, files=1_000, open_files=128)


class Cell:
    """One whose processes cannot be listed."""

    owner = None

    def __init__(self):
        self.looks = 0

    def members(self):
        self.looks += 1
        raise OSError("too many open files")


def test_a_run_that_cannot_be_looked_at_is_ended_and_not_left_without_limits():
    cell, stop = Cell(), Stop()
    asyncio.run(asyncio.wait_for(Watch(cell, Workspace(Path("/nowhere"), (), {}), LIMITS).keep(stop), 60))
    assert cell.looks == MOST_FAILED
    assert stop.reason is Reason.LIMIT
    assert stop.exceeded == UNMEASURED
