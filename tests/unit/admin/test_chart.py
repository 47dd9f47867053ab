"""The numbers of the chart."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creatify_textgen.admin.chart import Column, draw

AMOUNTS = st.decimals(min_value=0, max_value=10**9, places=8)


class TestDraw:
    def test_stacks_the_series_of_a_column(self) -> None:
        chart = draw([Column("1", [Decimal(1), Decimal(3)])])
        lower, upper = chart.segments
        assert float(lower.y) + float(lower.height) == chart.bottom
        assert float(upper.y) + float(upper.height) == float(lower.y)
        assert float(upper.height) == pytest.approx(3 * float(lower.height), abs=0.2)

    def test_leaves_out_what_is_nothing(self) -> None:
        chart = draw([Column("1", [Decimal(), Decimal(1)]), Column("2", [Decimal(), Decimal()])])
        assert [segment.series for segment in chart.segments] == [1]

    def test_draws_nothing_of_nothing(self) -> None:
        chart = draw([])
        assert (chart.segments, chart.line, chart.days) == ([], "", [])

    def test_draws_a_line_only_where_it_is_above_zero(self) -> None:
        columns = [Column("1", [Decimal(1)], 0), Column("2", [Decimal(1)], 4)]
        chart = draw(columns)
        heights = [float(point.split(",")[1]) for point in chart.line.split()]
        assert (heights, chart.line_top) == ([chart.bottom, chart.top], 4)
        assert draw([Column("1", [Decimal(1)])]).line == ""

    @pytest.mark.parametrize(
        ("amount", "top"), [("0.0003", "0.0004"), ("1", "1"), ("5", "8"), ("9", "10"), ("0", "1")]
    )
    def test_has_a_grid_of_plain_numbers(self, amount: str, top: str) -> None:
        chart = draw([Column("1", [Decimal(amount)])])
        assert chart.grid[-1].amount == Decimal(top)

    @given(st.lists(st.lists(AMOUNTS, min_size=2, max_size=2), min_size=1, max_size=62))
    def test_keeps_everything_inside(self, amounts: list[list[Decimal]]) -> None:
        chart = draw([Column(str(n), row) for n, row in enumerate(amounts)])
        for one in chart.segments:
            assert chart.top - 1 <= float(one.y) <= chart.bottom
            assert float(one.x) >= chart.left
            assert float(one.x) + float(one.width) <= chart.right + 1
        assert len(chart.days) <= 10
        places = [float(label.at) for label in chart.days]
        assert all(left < right for left, right in pairwise(places))
