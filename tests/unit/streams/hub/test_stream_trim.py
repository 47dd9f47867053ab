"""How far back a stream in Redis may reach, and how long it lives."""

from __future__ import annotations

import pytest

from creatify_textgen.streams.hub.stream_trim import (
    MAX_BYTES,
    MAX_LENGTH,
    RENEW_SECONDS,
    STEP_BYTES,
    StreamTrim,
)

KEY = "creatify_textgen:stream:s"
MIB = 1024 * 1024


def kept_bytes(sizes: list[int]) -> int:
    """Return how many bytes are kept once frames of these sizes are counted."""
    trim = StreamTrim("s", now=0)
    oldest = [trim.count(number, size) for number, size in enumerate(sizes, 1)][-1]
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
        trim = StreamTrim("s", now=0)
        for _ in range(60):
            oldest = [trim.count(number, MIB) for number in range(1, 11)]
        assert oldest == [0] * 10

    def test_leaves_alone_what_another_writer_wrote_before(self) -> None:
        assert StreamTrim("s", now=0).count(500, 100) == 0

    def test_remembers_little_of_a_long_stream(self) -> None:
        trim = StreamTrim("s", now=0)
        for number in range(1, 100_000):
            trim.count(number, 5000)
        assert len(trim._steps) <= 70


class TestTimeToLive:
    def test_is_set_with_the_first_frame_and_again_in_time(self) -> None:
        trim = StreamTrim("s", now=0)
        assert trim.is_due(0)
        trim.renew(0)
        assert not trim.is_due(RENEW_SECONDS - 1)
        assert trim.is_due(RENEW_SECONDS)

    def test_lets_only_a_frame_that_sets_it_make_the_stream(self) -> None:
        trim = StreamTrim("s", now=0)
        assert trim.place == (KEY,)
        trim.renew(0)
        trim.renew(RENEW_SECONDS)
        assert trim.place == (KEY, "NOMKSTREAM")
        trim.forget()
        assert (trim.place, trim.is_due(0)) == ((KEY,), True)
