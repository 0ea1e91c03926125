"""What a run may use of the machine: beyond it the run ends, says why, and leaves nothing."""

import os

import pytest

from fake_control_plane import FakeControlPlane
from isolated_runners import BOTH_WAYS, isolated
from runner_process import RunnerProcess, attack, living, new_mark, until
from runpass.protocol.reports import LogLevel, Outcome

LIMITS = {
    "job_memory_mib": 64,
    "job_processes": 40,
    "job_disk_mib": 8,
    "job_files": 1_000,
    "job_open_files": 128,
    "least_free_mib": 1,
}


@pytest.fixture(scope="module")
def plane():
    with FakeControlPlane(lease_seconds=10.0) as plane:
        yield plane


@pytest.fixture(scope="module", params=BOTH_WAYS)
def runner(plane, request):
    with isolated(plane, request.param, **LIMITS, capacity=len(ATTACKS)) as runner:
        yield runner


MEMORY = "The run used more than its 64 MiB of memory."
PROCESSES = "The run reached its limit of 40 processes and threads."
DISK = "The run used more than its 8 MiB of disk."
FILL = "for i in 1 2 3 4; do dd if=/dev/zero of={}$i bs=1M count=4 2>/dev/null; done; sleep 60"
ATTACKS = {
    "it uses too much memory": ("head -c 200000000 /dev/zero | tail -c 200000000 | sleep 60", MEMORY),
    "it forks and forks": ("while :; do sleep 60 & done", PROCESSES),
    "it hides its many processes": (
        "for i in $(seq 60); do (setsid sleep 60 &) || :; done 2>/dev/null; sleep 60",
        PROCESSES,
    ),
    "it fills its workspace": (FILL.format("file"), DISK),
    "it fills TMPDIR": (FILL.format("$TMPDIR/file"), DISK),
    "it fills /tmp": (FILL.format("/tmp/file"), DISK),  # noqa: S108 -- the job does
    "it fills /dev/shm": (FILL.format("/dev/shm/file"), DISK),  # noqa: S108
    "a file grows and grows": ("dd if=/dev/zero of=file bs=1M count=100 2>/dev/null", DISK),
    "its files have no name any more": (
        "exec 5>a 6>b 7>c; rm a b c; for i in 5 6 7; do head -c 4000000 /dev/zero >&$i; done; sleep 60",
        DISK,
    ),
    "its files are in a closed directory": (
        "mkdir -p d/e; for i in 1 2 3; do head -c 4000000 /dev/zero >d/e/$i; done; chmod 0 d/e d; sleep 60",
        DISK,
    ),
    "it makes very many files": (
        "mkdir m; seq 2000 | (cd m; xargs touch); sleep 60",
        "The run made more than its 1000 files and directories.",
    ),
    "its directories are nested too deep": (
        "for i in $(seq 150); do mkdir d; cd d; done; sleep 60",
        "The run nested directories so deep that its use of the disk cannot be measured.",
    ),
}


@pytest.fixture(scope="module")
def attacked(plane, runner):
    """Give a run for each attack, all of them started at once, and the mark of what each left in the background."""
    marks = {name: new_mark() for name in ATTACKS}
    return {
        name: (plane.offer(f"sleep {marks[name]} & {command}", "echo never"), marks[name])
        for name, (command, _) in ATTACKS.items()
    }


@pytest.mark.parametrize("name", ATTACKS)
def test_a_run_that_goes_beyond_a_limit_ends_and_says_why(plane, runner, attacked, name):
    lease, mark = attacked[name]
    _, sentence = ATTACKS[name]
    finish = plane.wait_finished(lease, 60)
    assert finish.outcome is Outcome.FAILURE
    assert finish.failed_step == "shell:1"
    if "Cannot fork" not in plane.log(lease):  # then the command has said it already, and its sandbox went with it
        assert sentence in (finish.error or "")
        assert sentence in plane.system_log(lease)
    assert plane.step_states(lease) == {"shell:1": "FAIL", "shell:2": "SKIPPED"}
    assert not living(mark)
    assert not runner.place_of(lease).exists()


def test_a_process_has_the_limits_of_a_run_and_may_not_raise_them(plane, runner):
    raises = "ulimit -n 4096 || echo no; ulimit -f 99999999 || echo no; ulimit -c 1 || echo no"
    raises += "; ulimit -p 4000 || echo no" if os.path.realpath("/bin/sh").endswith("dash") else "; echo no"
    outcome, log = attack(plane, f"ulimit -H -n; ulimit -H -f; ulimit -H -c; ({raises}) 2>/dev/null")
    assert outcome is Outcome.SUCCESS
    assert log.splitlines() == ["128", "16384", "0", "no", "no", "no", "no"]


def test_a_run_within_its_limits_reads_nothing_and_its_background_is_its_own_matter(plane, runner):
    lease = plane.offer("wc -c; cat; dd if=/dev/zero of=file bs=1M count=4 2>/dev/null; (sleep 60 &) ; ls file")
    assert plane.wait_finished(lease).outcome is Outcome.SUCCESS
    assert plane.log(lease, LogLevel.INFO) == "0\nfile"


def test_a_runner_whose_disk_is_nearly_full_takes_no_work(plane):
    with FakeControlPlane() as own, RunnerProcess(own, allow_unisolated=True, least_free_mib=10**9) as runner:
        lease = own.offer("echo never")
        until(lambda: "takes_no_work" in runner.log)
        assert lease.lease_id not in own.offered_at
