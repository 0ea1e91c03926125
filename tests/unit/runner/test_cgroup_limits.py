"""Limits of control groups: on a directory that looks like a tree of them, and on the machine's own tree."""

import os
import shutil
import subprocess
import threading

import pytest
import structlog

from runpass.runner import cgroup, cgroup_limits
from runpass.runner.limits import MIB, Limits

LIMITS = Limits(memory_bytes=64 * MIB, processes=40, disk_bytes=8 * MIB, files=1_000, open_files=128)


@pytest.fixture
def tree(tmp_path):
    """A group with the controllers handed down, and one run's group in it."""
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids")
    (tmp_path / "cgroup.subtree_control").write_text("memory pids")
    run = tmp_path / "runpass-7-d1"
    run.mkdir()
    for name in ("cgroup.kill", "memory.max", "memory.swap.max", "memory.oom.group", "pids.max"):
        (run / name).write_text("max\n")
    return tmp_path


def test_a_group_gets_the_limits_that_its_tree_knows(tree):
    assert cgroup.Cgroup.make(tree, 7, "d1", LIMITS) is not None
    run = tree / "runpass-7-d1"
    assert (run / "memory.max").read_text() == str(64 * MIB)
    assert (run / "memory.swap.max").read_text() == "0"
    assert (run / "memory.oom.group").read_text() == "1"
    assert (run / "pids.max").read_text() == "40"


def test_a_tree_without_controllers_still_gives_a_group_to_end_the_run_with(tree):
    run = tree / "runpass-7-d2"
    run.mkdir()
    (run / "cgroup.kill").write_text("")
    group = cgroup.Cgroup.make(tree, 7, "d2", LIMITS)
    assert group is not None
    assert group.exceeded() is None
    assert not (run / "memory.max").exists()


@pytest.mark.parametrize(
    ("events", "sentence"),
    [
        ({"memory.events": "low 0\nhigh 0\nmax 9\noom 1\noom_kill 3\noom_group_kill 1\n"}, LIMITS.more_memory()),
        ({"memory.events": "low 0\nhigh 0\nmax 9\noom 0\noom_kill 0\n"}, None),
        ({"pids.events": "max 12\n"}, LIMITS.more_processes()),
        ({"pids.events": "max 0\n"}, None),
        ({"pids.events": "something else entirely\n\n"}, None),
        ({}, None),
    ],
)
def test_what_the_kernel_had_to_do_becomes_the_sentence(tree, events, sentence):
    for name, text in events.items():
        (tree / "runpass-7-d1" / name).write_text(text)
    assert cgroup_limits.CgroupLimits(tree / "runpass-7-d1", LIMITS).exceeded() == sentence


def test_a_process_that_does_not_get_into_its_group_is_told_of(tree):
    group = cgroup.Cgroup.make(tree, 7, "d1", LIMITS)
    assert group is not None
    shutil.rmtree(tree / "runpass-7-d1")
    with structlog.testing.capture_logs() as logs:
        group.take_in(os.getpid())
    assert [(entry["event"], entry["cgroup"]) for entry in logs] == [("process_outside_of_its_cgroup", "runpass-7-d1")]


def test_only_controllers_that_are_there_are_handed_down(tree):
    (tree / "cgroup.controllers").write_text("memory pids hugetlb")
    assert cgroup_limits.hand_down(tree) == {"memory", "pids"}
    (tree / "cgroup.controllers").write_text("hugetlb")
    (tree / "cgroup.subtree_control").write_text("")
    assert cgroup_limits.hand_down(tree) == frozenset()


def test_a_run_of_this_machines_own_tree_is_held_and_ended(capsys):
    parent = cgroup.own_directory()
    handed = frozenset() if parent is None else cgroup_limits.hand_down(parent)
    with capsys.disabled():
        print(
            f" [control groups here: {parent or 'none'}, limited by the kernel: {sorted(handed) or 'nothing'}] ", end=""
        )
    group = cgroup.Cgroup.make(parent, os.getpid(), "test", LIMITS)
    if group is None:
        return
    sleeper = subprocess.Popen(["/bin/sleep", "300"])
    try:
        group.take_in(sleeper.pid)
        group.end()
        assert sleeper.wait(10) == -9
    finally:
        sleeper.kill()
        sleeper.wait()


def test_groups_of_other_users_are_left_alone(tree):
    for name in ("runpass-8-d1", "runpass-77-d1", "runpass-d1", "runner"):
        (tree / name).mkdir()
    shutil.rmtree(tree / "runpass-7-d1")
    cgroup.end_left(tree, range(7, 8))
    assert {path.name for path in tree.iterdir() if path.is_dir()} == {
        "runpass-8-d1",
        "runpass-77-d1",
        "runpass-d1",
        "runner",
    }


def test_a_leftover_is_ended_and_removed_once_it_is_empty(tree):
    run = tree / "runpass-7-d3"
    run.mkdir()
    emptied = threading.Timer(0.1, (run / "cgroup.kill").unlink)  # here, what keeps it from being removed for a moment
    emptied.start()
    shutil.rmtree(tree / "runpass-7-d1")
    cgroup.end_left(tree, range(7, 8))
    emptied.join()
    assert not run.exists()


def test_what_a_killed_runner_left_in_this_machines_own_tree_is_ended():
    parent = cgroup.own_directory()
    group = cgroup.Cgroup.make(parent, os.getpid(), "left", LIMITS)
    if group is None:
        return
    sleeper = subprocess.Popen(["/bin/sleep", "300"])
    try:
        group.take_in(sleeper.pid)
        cgroup.end_left(parent, range(os.getpid(), os.getpid() + 1))
        assert sleeper.wait(10) == -9
        assert not list(parent.glob(f"runpass-{os.getpid()}-*"))
    finally:
        sleeper.kill()
        sleeper.wait()
