import os

import pytest

from runpass.runner import children, processes


@pytest.mark.parametrize(
    ("options", "hidden"),
    [
        ("rw", False),
        ("rw,hidepid=0", False),
        ("rw,hidepid=off", False),
        ("rw,hidepid=2", True),
        ("hidepid=invisible", True),
    ],
)
def test_whether_command_lines_are_visible_is_read_from_the_mount(monkeypatch, tmp_path, options, hidden):
    monkeypatch.setattr(processes, "PROC", tmp_path)
    (tmp_path / "mounts").write_text(f"none / ext4 rw 0 0\nproc {tmp_path} proc {options} 0 0\n")
    assert processes.hidden_from_others() is hidden


def test_one_look_that_finds_nothing_is_not_enough():
    looks = iter([[], [], [processes.describe(os.getpid())], [], [], []])
    killed = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "signal_if_same", lambda _, number: killed.append(number))
        assert processes.end_all(lambda: next(looks)) == []
    assert len(killed) == 2
    assert list(looks) == []


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="needs a system that can look without reaping")
def test_orphans_are_reaped_and_our_own_children_are_not():
    own = os.posix_spawn("/bin/true", ["true"], {})
    children.keep(own)
    children.reap([own])
    os.waitid(os.P_PID, own, os.WEXITED | os.WNOWAIT)
    children.reap([own])
    assert os.waitpid(own, 0) == (own, 0)
    children.forget(own)

    other = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, other, os.WEXITED | os.WNOWAIT)
    with children.starting():
        children.reap([other])
    children.reap([other])
    with pytest.raises(ChildProcessError):
        os.waitpid(other, 0)
