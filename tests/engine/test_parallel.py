"""Work side by side comes to the same as one after the other."""

import time
from threading import Barrier

import pytest

from mien.engine.parallel import Cores, one_at_a_time


@pytest.mark.parametrize("threads", [1, 2])
def test_both_give_their_results(threads: int) -> None:
    assert Cores(threads).both(lambda: 1, lambda: "two") == (1, "two")


def test_both_run_at_the_same_time() -> None:
    meeting = Barrier(2, timeout=5)
    assert sorted(Cores(2).both(meeting.wait, meeting.wait)) == [0, 1]


@pytest.mark.parametrize("threads", [1, 2])
def test_of_two_errors_the_first_is_raised(threads: int) -> None:
    def fail(what: str) -> None:
        raise ValueError(what)

    with pytest.raises(ValueError, match="first"):
        Cores(threads).both(lambda: fail("first"), lambda: fail("second"))
    with pytest.raises(ValueError, match="second"):
        Cores(threads).both(lambda: None, lambda: fail("second"))


@pytest.mark.parametrize("threads", [1, 2])
def test_results_come_in_the_order_of_the_items(threads: int) -> None:
    def late(item: int) -> int:
        time.sleep(0.01 * (3 - item))
        return item * item

    assert Cores(threads).each(late, range(4)) == [0, 1, 4, 9]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_work_can_be_split_again(threads: int) -> None:
    cores = Cores(threads)

    def multiples(item: int) -> tuple[int, list[int]]:
        return cores.both(lambda: item, lambda: cores.each(lambda times: times * item, range(3)))

    assert cores.each(multiples, range(4)) == [(item, [0, item, 2 * item]) for item in range(4)]


def test_the_first_error_is_raised_once_all_have_ended() -> None:
    ended = []

    def work(item: int) -> None:
        if item:
            time.sleep(0.02)
        ended.append(item)
        raise ValueError(str(item))

    with pytest.raises(ValueError, match="0"):
        Cores(2).each(work, [0, 1, 2])
    assert sorted(ended) == [0, 1, 2]


def test_what_was_made_for_one_thread_is_called_by_one_at_a_time() -> None:
    inside = 0
    most = 0

    def watched(item: int) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.005)
        inside -= 1

    Cores(4).each(one_at_a_time(watched), range(8))
    assert most == 1
