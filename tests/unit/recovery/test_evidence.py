"""What a list proves by what it lacks: each condition alone makes the difference."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from creatify_textgen.recovery.evidence import (
    APART,
    EARLIER,
    LATER,
    MOST_SKEW,
    Finding,
    KnownRow,
    Listed,
    Reading,
    Sent,
    Skew,
    judge,
    skew_of,
)
from creatify_textgen.remote import RemoteClock

SENT = datetime(2020, 11, 22, 12, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
ENDED = SENT + MINUTE
ASKED = ENDED + APART + MINUTE
FIRST = ASKED - APART
ROW = Sent(SENT, ENDED, "w", absent_since=FIRST, absent_served_at=FIRST)
NO_SKEW = Skew()


def known(remote_id: str, sent_at: datetime, **fields: Any) -> KnownRow:
    return KnownRow(remote_id, f"print of {remote_id}", "w", sent_at, **fields)


def listed(remote_id: str, created_at: datetime | None, **fields: Any) -> Listed:
    return Listed(remote_id, created_at, **{"fingerprint": f"print of {remote_id}", **fields})


BEFORE = known("before", SENT - 10 * MINUTE)
AFTER = known("after", ENDED)
ROWS = {"before": BEFORE, "after": AFTER}
SHOWN = [listed("before", SENT - 10 * MINUTE), listed("after", ENDED)]
LIST = Reading(listed=SHOWN, workspace="w", clocks=[RemoteClock(ASKED, 0, 0)])


def verdict(
    *,
    row: Sent = ROW,
    reading: Reading = LIST,
    rows: dict[str, KnownRow] = ROWS,
    skew: Skew | None = NO_SKEW,
    asked_at: datetime = ASKED,
    asked_at_latest: datetime | None = None,
    shown: list[Listed] | None = None,
) -> Finding:
    if shown is not None:
        reading = reading._replace(listed=shown)
    asked = asked_at, asked_at if asked_at_latest is None else asked_at_latest
    return judge(row, reading, rows, skew=skew, asked_at=asked).finding


class TestProof:
    def test_needs_all_of_it(self) -> None:
        assert verdict() == Finding.PROVED

    def test_knows_requests_by_a_key_that_was_rotated_out(self) -> None:
        rotated = [
            one._replace(fingerprint="new", older_fingerprints=(one.fingerprint,)) for one in SHOWN
        ]
        assert verdict(shown=rotated) == Finding.PROVED

    def test_has_no_witness_whose_content_was_erased(self) -> None:
        assert verdict(rows={**ROWS, "before": BEFORE._replace(fingerprint="")}) == Finding.UNPROVED

    def test_is_not_spoiled_by_a_row_whose_content_was_erased(self) -> None:
        rows = {**ROWS, "erased": known("erased", SENT)._replace(fingerprint="")}
        assert verdict(rows=rows, shown=[*SHOWN, listed("erased", SENT)]) == Finding.PROVED

    @pytest.mark.parametrize(
        "changed",
        [
            {"reading": LIST._replace(workspace="another")},
            {"row": ROW._replace(workspace=""), "reading": LIST._replace(workspace="")},
            {"reading": LIST._replace(is_whole=False)},
            {"skew": None},
            {"shown": SHOWN[1:]},
            {"shown": [listed("before", SENT - EARLIER), SHOWN[1]]},
            {"shown": [SHOWN[0]._replace(created_at=None), SHOWN[1]]},
            {"shown": SHOWN[:1]},
            {"rows": {"before": BEFORE, "after": AFTER._replace(sent_at=ENDED - SECOND)}},
            {"rows": {"before": BEFORE, "after": AFTER._replace(workspace="another")}},
            {"rows": {"before": BEFORE._replace(workspace="another"), "after": AFTER}},
            {"shown": [SHOWN[0], SHOWN[1]._replace(fingerprint="with defaults")]},
            {"shown": [SHOWN[0]._replace(fingerprint="with defaults"), SHOWN[1]]},
            {"rows": {**ROWS, "between": known("between", SENT + SECOND)}},
            {"shown": [SHOWN[0], SHOWN[1]._replace(created_at=ENDED + 2 * LATER)]},
            {
                "rows": {**ROWS, "other": known("other", ENDED)},
                "shown": [*SHOWN, listed("other", ENDED + 2 * LATER)],
            },
            {"shown": [SHOWN[0], SHOWN[1]._replace(created_at=None)]},
            {"shown": [SHOWN[0]._replace(created_at=SENT - HOUR), SHOWN[1]]},
        ],
        ids=[
            "another workspace",
            "an unknown workspace",
            "half a list",
            "an unknown clock",
            "nothing from before",
            "nothing from before the window",
            "nothing that is surely from before",
            "nothing from after",
            "nothing from after the send had ended",
            "a witness from after of another workspace",
            "a witness from before of another workspace",
            "a witness with another request",
            "an older witness with another request",
            "our row is missing",
            "dates that are not its clock's",
            "one date that is not its clock's",
            "a witness from after without a date",
            "a witness from before with a wrong date",
        ],
    )
    def test_is_none_with(self, changed: dict[str, Any]) -> None:
        assert verdict(**changed) == Finding.UNPROVED

    def test_needs_each_row_that_may_have_been_sent_in_between(self) -> None:
        """Their times were stored without a zone, in the hour that is repeated in autumn."""
        earlier = known("missing", SENT - HOUR, latest_sent_at=SENT)
        assert verdict(rows={**ROWS, "missing": earlier}) == Finding.UNPROVED
        later = {**ROWS, "missing": known("missing", ASKED, latest_sent_at=ASKED + HOUR)}
        assert verdict(rows=later) == Finding.PROVED
        assert verdict(rows=later, asked_at_latest=ASKED + HOUR) == Finding.UNPROVED

    @pytest.mark.parametrize(
        "created_at",
        [SENT - EARLIER, SENT, ENDED + LATER, None],
        ids=["at its beginning", "at the send", "at its end", "at an unknown time"],
    )
    @pytest.mark.parametrize("row", [None, {"is_imported": True}], ids=["of nobody", "imported"])
    def test_is_void_with_a_generation_in_the_window(
        self, created_at: datetime | None, row: dict[str, Any] | None
    ) -> None:
        rows = ROWS if row is None else {**ROWS, "x": known("x", SENT, **row)}
        assert verdict(shown=[*SHOWN, listed("x", created_at)], rows=rows) == Finding.FOUND

    @pytest.mark.parametrize("created_at", [SENT - EARLIER - SECOND, ENDED + LATER + SECOND])
    def test_holds_beside_a_stranger_outside_the_window(self, created_at: datetime) -> None:
        assert verdict(shown=[*SHOWN, listed("x", created_at)]) == Finding.PROVED

    def test_is_void_with_the_same_request_later(self) -> None:
        """What waited in a queue for an hour is dated when it left it."""
        late = listed("x", ENDED + LATER + HOUR, fingerprint="new", older_fingerprints=("ours",))
        row = ROW._replace(fingerprint="ours")
        assert verdict(row=row, shown=[*SHOWN, late]) == Finding.FOUND

    def test_holds_beside_a_row_of_ours_in_the_window(self) -> None:
        rows = {**ROWS, "x": known("x", SENT + SECOND)}
        assert verdict(shown=[*SHOWN, listed("x", SENT + SECOND)], rows=rows) == Finding.PROVED

    @pytest.mark.parametrize(
        "missing",
        [
            known("x", ASKED - SECOND),
            known("x", SENT - EARLIER - SECOND),
            known("x", SENT, may_be_unlisted=True),
            known("x", SENT)._replace(workspace="another"),
        ],
        ids=["a moment old", "older than the window", "a stream's", "another workspace's"],
    )
    def test_holds_without_a_row_that_need_not_be_listed(self, missing: KnownRow) -> None:
        assert verdict(rows={**ROWS, "x": missing}) == Finding.PROVED


class TestSecondList:
    @pytest.mark.parametrize(
        ("absent_since", "asked_at", "finding"),
        [
            (None, ASKED, Finding.ABSENT),
            (ASKED - APART, ASKED, Finding.PROVED),
            (ASKED - APART + SECOND, ASKED, Finding.ABSENT),
            (SENT - APART, ENDED + APART, Finding.PROVED),
            (SENT - APART, ENDED + APART - SECOND, Finding.ABSENT),
        ],
        ids=["first", "ten minutes later", "too soon", "late enough", "too soon after the send"],
    )
    def test_proves(
        self, absent_since: datetime | None, asked_at: datetime, finding: Finding
    ) -> None:
        assert verdict(row=ROW._replace(absent_since=absent_since), asked_at=asked_at) == finding

    @pytest.mark.parametrize(
        ("served_at", "finding"),
        [
            (FIRST + APART, Finding.PROVED),
            (FIRST + APART - SECOND, Finding.ABSENT),
            (FIRST + SECOND, Finding.ABSENT),
            (FIRST - HOUR, Finding.ABSENT),
        ],
        ids=["ten minutes", "hardly", "our clock jumped", "its clock jumped back"],
    )
    def test_is_as_late_by_the_remote_s_clock(self, served_at: datetime, finding: Finding) -> None:
        clocks = [RemoteClock(ASKED, 0, 0), RemoteClock(served_at, 0, 0)]
        assert verdict(reading=LIST._replace(clocks=clocks)) == finding

    def test_is_the_first_if_the_remote_s_time_of_another_is_unknown(self) -> None:
        assert verdict(row=ROW._replace(absent_served_at=None)) == Finding.ABSENT


class TestSkew:
    def test_widens_the_window_at_both_ends(self) -> None:
        behind, ahead = Skew(-3 * MINUTE, -2 * MINUTE), Skew(2 * MINUTE, 3 * MINUTE)
        early, late = SENT - EARLIER - 3 * MINUTE, ENDED + LATER + 3 * MINUTE
        assert verdict(shown=[*SHOWN, listed("x", early)], skew=behind) == Finding.FOUND
        assert verdict(shown=[*SHOWN, listed("x", late)], skew=ahead) == Finding.FOUND

    def test_never_narrows_it(self) -> None:
        ahead = Skew(2 * MINUTE, 3 * MINUTE)
        assert verdict(shown=[*SHOWN, listed("x", SENT - EARLIER)], skew=ahead) == Finding.FOUND

    def clock(self, ahead: timedelta) -> RemoteClock:
        return RemoteClock(served_at=ASKED + ahead, asked_at=99.0, received_at=100.0)

    def test_is_what_the_answers_show(self) -> None:
        clocks = [self.clock(timedelta()), self.clock(MINUTE)]
        skew = skew_of(Reading(clocks=clocks, pages=2), now=(ASKED, ASKED), monotonic=100.0)
        assert skew == Skew(timedelta(), MINUTE + 2 * SECOND)

    @pytest.mark.parametrize(
        ("ahead", "pages"),
        [([], 1), ([0], 2), ([MOST_SKEW / SECOND], 1), ([-MOST_SKEW / SECOND - 1], 1)],
        ids=["no answer", "one of two answers", "too far ahead", "too far behind"],
    )
    def test_is_unknown_with(self, ahead: list[float], pages: int) -> None:
        clocks = [self.clock(timedelta(seconds=seconds)) for seconds in ahead]
        assert (
            skew_of(Reading(clocks=clocks, pages=pages), now=(ASKED, ASKED), monotonic=100.0)
            is None
        )
