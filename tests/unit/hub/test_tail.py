"""How far back a stream in Redis may reach, and how long it lives."""

from __future__ import annotations

import pytest

from creatify_textgen.hub.tail import MAX_BYTES, MAX_LENGTH, RENEW_SECONDS, STEP_BYTES, Tail

KEY = "creatify_textgen:stream:s"
MIB = 1024 * 1024


def kept_bytes(sizes: list[int]) -> int:
    """Return how many bytes are kept once frames of these sizes are counted."""
    tail = Tail("s", now=0)
    oldest = [tail.count(number, size) for number, size in enumerate(sizes, 1)][-1]
    return sum(sizes[max(oldest - 1, 0) :])


class TestCount:
    @pytest.mark.parametrize(
        "sizes",
        [
            [100] * 9000 + [MIB] * 80,
            [MIB] * 80 + [100] * 9000,
            [100, MIB] * 400,
            [STEP_BYTES - 1] * 200,
        ],
        ids=["small, then large", "large, then small", "mixed", "just below a step"],
    )
    def test_keeps_what_the_bound_allows_and_no_more(self, sizes: list[int]) -> None:
        assert MAX_BYTES - STEP_BYTES - max(sizes) < kept_bytes(sizes) <= MAX_BYTES

    def test_keeps_all_below_the_bound(self) -> None:
        assert kept_bytes([100] * MAX_LENGTH) == 100 * MAX_LENGTH

    def test_keeps_no_more_frames_than_the_longest_stream_has(self) -> None:
        assert kept_bytes([1] * (MAX_LENGTH + 50)) == MAX_LENGTH

    def test_keeps_a_frame_that_is_larger_than_the_bound(self) -> None:
        assert kept_bytes([MIB, MAX_BYTES + 1]) == MAX_BYTES + 1

    def test_counts_a_frame_once_however_often_it_is_sent(self) -> None:
        tail = Tail("s", now=0)
        for _ in range(60):
            oldest = [tail.count(number, MIB) for number in range(1, 11)]
        assert oldest == [0] * 10

    def test_leaves_alone_what_another_writer_wrote_before(self) -> None:
        assert Tail("s", now=0).count(500, 100) == 0

    def test_remembers_little_of_a_long_stream(self) -> None:
        tail = Tail("s", now=0)
        for number in range(1, 100_000):
            tail.count(number, 5000)
        assert len(tail._steps) <= 70


class TestTimeToLive:
    def test_is_set_with_the_first_frame_and_again_in_time(self) -> None:
        tail = Tail("s", now=0)
        assert tail.is_due(0)
        tail.renew(0)
        assert not tail.is_due(RENEW_SECONDS - 1)
        assert tail.is_due(RENEW_SECONDS)

    def test_lets_only_a_frame_that_sets_it_make_the_stream(self) -> None:
        tail = Tail("s", now=0)
        assert tail.place == (KEY,)
        tail.renew(0)
        tail.renew(RENEW_SECONDS)
        assert tail.place == (KEY, "NOMKSTREAM")
        tail.forget()
        assert (tail.place, tail.is_due(0)) == ((KEY,), True)
