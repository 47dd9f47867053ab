"""Quantiles by nearest rank."""

from __future__ import annotations

import pytest

from creatify_textgen.control.quantiles import quantile


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([], 0.5, None),
        ([7], 0.95, 7),
        ([1, 2], 0.5, 1),
        ([1, 2, 3], 0.5, 2),
        (range(1, 101), 0.95, 95),
        ([1, 2], 0.0, 1),
        ([1, 2], 1.0, 2),
    ],
)
def test_quantile_is_one_of_the_values(
    values: list[int], share: float, expected: int | None
) -> None:
    assert quantile(values, share) == expected
