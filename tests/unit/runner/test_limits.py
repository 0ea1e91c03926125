import resource

from hypothesis import given
from hypothesis import strategies as st

from runpass.runner import limits
from runpass.runner.limits import MIB, Limits, limits_of, share
from runpass.runner.settings import load_settings

GIB = 1024 * MIB


def settings(**options):
    return load_settings(environment={}, url="https://server.test", **options).settings


def test_a_runs_memory_is_what_was_set_or_an_equal_share_of_the_machines():
    assert limits_of(settings(job_memory_mib=100)).memory_bytes == 100 * MIB
    assert limits_of(settings(capacity=4)).memory_bytes == share(limits.machine_memory(), 4)


@given(total=st.integers(8 * GIB, 4096 * GIB), runs=st.integers(1, 12))
def test_the_shares_of_all_runs_leave_something_of_the_machine(total, runs):
    assert share(total, runs) * runs <= total - total // 8


def test_a_share_of_a_small_machine_is_still_enough_to_work_with():
    assert share(GIB, 60) == 512 * MIB


def test_a_child_never_gets_more_open_files_than_this_process_may_give():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    given_soft, given_hard = limits.open_files_of_children(10**9)
    assert (given_soft, given_hard) == (min(soft, 10**9), min(hard, 10**9))
    assert limits.open_files_of_children(100) == (100, 100)


def test_every_sentence_names_its_number():
    one = Limits(memory_bytes=64 * MIB, processes=40, disk_bytes=8 * MIB, files=1_000, open_files=128)
    sentences = [one.more_memory(), one.more_processes(), one.more_disk(), one.more_files()]
    assert [number in text for number, text in zip(("64", "40", "8", "1000"), sentences, strict=True)] == [True] * 4
    assert one.of_status(-25) == one.of_status(153) == one.more_disk()
    assert one.of_status(1) is None
