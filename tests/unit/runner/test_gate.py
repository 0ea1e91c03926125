import os
import resource
import subprocess

import pytest

from runpass.runner.gate import NOT_LIMITED, Gate, counted, guarded
from runpass.runner.limits import MIB, Limits

LIMITS = Limits(memory_bytes=64 * MIB, processes=40, disk_bytes=8 * MIB, files=1_000, open_files=128)
SAYS = ("/bin/sh", "-c", "echo through; cat; ulimit -H -n; ulimit -H -c; env")


def waiting(argv, **how):
    gate = Gate()
    process = subprocess.Popen(
        guarded(argv, LIMITS), stdin=gate.reading, stdout=subprocess.PIPE, env={"PATH": "/usr/bin:/bin"}, **how
    )
    gate.close_reading()
    return gate, process


def test_a_command_goes_on_once_the_gate_opens_with_limits_and_nothing_to_read():
    gate, process = waiting(SAYS)
    with process:
        assert process.poll() is None
        gate.open()
        out, _ = process.communicate(timeout=20)
    lines = out.decode().splitlines()
    assert lines[:3] == ["through", "128", "0"]
    assert not [line for line in lines if "GATE" in line]


def test_a_command_whose_runner_is_gone_is_never_started():
    gate, process = waiting(SAYS)
    with process:
        gate.close()
        out, _ = process.communicate(timeout=20)
    assert (out, process.returncode) == (b"", NOT_LIMITED)


def test_a_command_that_has_ended_meanwhile_is_no_error():
    gate, process = waiting(SAYS)
    with process:
        process.kill()
        process.communicate(timeout=20)
    gate.open()
    gate.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a process fewer processes and keeps its own")
def test_where_the_runner_may_have_fewer_processes_its_commands_get_as_many():
    was = resource.getrlimit(resource.RLIMIT_NPROC)
    most = 1_000 if was[1] == resource.RLIM_INFINITY else was[1]
    resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
    try:
        argv = counted(("/bin/true",), 10**6)
        assert str(most) in argv
        assert subprocess.run(argv, user=65534, group=65534, extra_groups=[], check=False).returncode == 0
    finally:
        resource.setrlimit(resource.RLIMIT_NPROC, was)
