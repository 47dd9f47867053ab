"""A chart: stacked columns by day and a line, as the numbers of an SVG. Pure.

It is made on the server, so it can be printed and needs no script. The table beside it has the same
numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

__all__ = ["Chart", "Column", "Label", "Segment", "draw"]

WIDTH, HEIGHT = 760, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 36, 16, 28
LABELS = 10
GRID = 4
GAP = 0.25
"""Of a column's share of the width."""


class Column(NamedTuple):
    """What stands over one label: amounts in the order of the series, and the line's number."""

    label: str
    amounts: Sequence[Decimal]
    line: int = 0


class Segment(NamedTuple):
    """A rectangle. Its numbers are text, because templates write them in the reader's format."""

    x: str
    y: str
    width: str
    height: str
    series: int
    label: str
    amount: Decimal


class Label(NamedTuple):
    """A text at a place; for the grid, `amount` instead."""

    at: str
    text: str = ""
    amount: Decimal = Decimal()


@dataclass(slots=True)
class Chart:
    """Everything that the template writes down."""

    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM
    segments: list[Segment] = field(default_factory=list)
    grid: list[Label] = field(default_factory=list)
    days: list[Label] = field(default_factory=list)
    line: str = ""
    """The points of the line, or empty if it is 0 throughout."""
    line_top: int = 0
    """What the line's highest place stands for."""


def draw(columns: Sequence[Column]) -> Chart:
    """Return the chart of these columns, from left to right."""
    chart = Chart()
    highest = max((sum(column.amounts, Decimal()) for column in columns), default=Decimal())
    top = _round_up(highest)
    room = (chart.right - chart.left) / max(1, len(columns))
    # Rounded up, so that there are never more than LABELS.
    step = max(1, -(-len(columns) // LABELS))
    for index, column in enumerate(columns):
        x = chart.left + index * room
        chart.segments.extend(_stack(chart, column, x=x, room=room, top=top))
        if index % step == 0:
            chart.days.append(Label(f"{x + room / 2:.1f}", column.label))
    for part in range(GRID + 1):
        amount = top * part / GRID
        chart.grid.append(Label(f"{_height(chart, amount, top=top):.1f}", amount=amount))
    chart.line_top = max((column.line for column in columns), default=0)
    if chart.line_top:
        chart.line = " ".join(
            f"{chart.left + (index + 0.5) * room:.1f},"
            f"{_height(chart, Decimal(column.line), top=Decimal(chart.line_top)):.1f}"
            for index, column in enumerate(columns)
        )
    return chart


def _stack(chart: Chart, column: Column, *, x: float, room: float, top: Decimal) -> list[Segment]:
    segments, below = [], Decimal()
    for series, amount in enumerate(column.amounts):
        if amount <= 0:
            continue  # The least height below would draw it.
        lower, upper = (_height(chart, value, top=top) for value in (below, below + amount))
        below += amount
        segments.append(
            Segment(
                x=f"{x + room * GAP / 2:.1f}",
                y=f"{upper:.1f}",
                # At least so large, because a reader points at a segment to see its numbers.
                width=f"{max(1.0, room * (1 - GAP)):.1f}",
                height=f"{max(0.5, lower - upper):.1f}",
                series=series,
                label=column.label,
                amount=amount,
            )
        )
    return segments


def _height(chart: Chart, value: Decimal, *, top: Decimal) -> float:
    # A float, because these are pixels; the amounts beside the chart are exact.
    return chart.bottom - (chart.bottom - chart.top) * float(value / top)


def _round_up(amount: Decimal) -> Decimal:
    """Return 1, 2, 4 or 8 times a power of ten, which the grid divides into plain numbers."""
    if amount <= 0:
        return Decimal(1)
    power = Decimal(10) ** amount.adjusted()
    return next(power * step for step in (1, 2, 4, 8, 10) if power * step >= amount)
