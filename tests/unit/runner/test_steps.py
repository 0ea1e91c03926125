import asyncio

import pytest
import structlog

from runpass.runner import processes
from runpass.runner.isolation import NoCell
from runpass.runner.limits import MIB, Limits
from runpass.runner.masking import Mask
from runpass.runner.steps import Commands
from runpass.runner.stop import Stop
from runpass.runner.workspace import WorkspaceRoot

LIMITS = Limits(memory_bytes=256 * MIB, processes=4_096, disk_bytes=64 * MIB, files=10_000, open_files=256)


class Lines:
    def __init__(self):
        self.lines = []
        self.some = asyncio.Event()

    async def log(self, _step, _level, message):
        self.lines.append(message)
        self.some.set()


class Refusing:
    async def log(self, *_):
        raise ValueError("the reporter is broken")


@pytest.fixture
def make(tmp_path):
    root = WorkspaceRoot(tmp_path / "work", for_others=False)

    def make(reporter, *commands, grace_seconds=5.0):
        workspace = root.make("run", None, commands)
        return workspace, Commands((NoCell(), workspace, LIMITS), Mask(), reporter, Stop(), grace_seconds=grace_seconds)

    yield make
    root.close()


def test_a_command_starts_in_the_workspace(make):
    lines = Lines()
    workspace, commands = make(lines, "pwd; echo ${OLDPWD-none}")

    async def run():
        assert await commands.run(workspace.scripts[0], "shell:1", {"PATH": "/usr/bin:/bin"}) == 0
        await commands.close()

    asyncio.run(run())
    assert lines.lines == [str(workspace.root), "none"]


def test_a_workspace_that_is_gone_fails_the_command(make):
    lines = Lines()
    workspace, commands = make(lines, "echo never")
    workspace.root.rmdir()

    async def run():
        assert await commands.run(workspace.scripts[0], "shell:1", {"PATH": "/usr/bin:/bin"}) == 1
        await commands.close()

    asyncio.run(run())
    assert lines.lines == [f"The workspace cannot be entered: {workspace.root}"]


def test_output_that_could_not_be_taken_in_is_noted(make):
    workspace, commands = make(Refusing(), "echo text")

    async def run():
        await commands.run(workspace.scripts[0], "shell:1", {"PATH": "/usr/bin:/bin"})
        await commands.close()

    with structlog.testing.capture_logs() as logs:
        asyncio.run(run())
    assert [entry["event"] for entry in logs] == ["output_lost"]


def test_where_processes_are_not_shown_the_group_is_asked_to_end_first(make, monkeypatch, tmp_path):
    monkeypatch.setattr(processes, "PROC", tmp_path / "no-proc")
    lines = Lines()
    workspace, commands = make(lines, "trap 'echo goodbye; exit 0' TERM; echo started; while :; do sleep 0.05; done")

    async def run():
        running = asyncio.create_task(commands.run(workspace.scripts[0], "shell:1", {"PATH": "/usr/bin:/bin"}))
        await lines.some.wait()
        running.cancel()
        await asyncio.wait({running})
        await commands.close()

    asyncio.run(run())
    assert "goodbye" in lines.lines
