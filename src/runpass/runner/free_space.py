"""Whether there is room for another run: a runner whose disk is nearly full takes no more work, and says so."""

import asyncio
import os
from pathlib import Path
from typing import Final

import structlog

from runpass.runner.limits import MIB

log = structlog.get_logger()
LOOK_SECONDS: Final = 5.0


class FreeSpace:
    """The room that is left where workspaces stand."""

    def __init__(self, directory: Path, least_mib: int) -> None:
        self._directory = directory
        self._least_mib = least_mib

    async def wait(self) -> None:
        """Return once there is room."""
        is_told = False
        while (free := self._free_mib()) < self._least_mib:
            if not is_told:
                log.error("takes_no_work", why="disk", free_mib=free, least_free_mib=self._least_mib)
                is_told = True
            await asyncio.sleep(LOOK_SECONDS)
        if is_told:
            log.info("takes_work_again", free_mib=free)

    def _free_mib(self) -> int:
        try:
            found = os.statvfs(self._directory)
        except OSError:  # no place for a run either
            return 0
        return found.f_bavail * found.f_frsize // MIB
