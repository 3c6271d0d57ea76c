"""Byte ranges joined, small reads through pages, and time counted once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cosmic.data.ranges import GAP_BYTES, GAP_SHARE, PART_BYTES, Window, spans

RANGES = st.dictionaries(
    st.text(min_size=1, max_size=3),
    st.tuples(st.integers(0, 10_000_000), st.integers(0, 5_000_000)),
    min_size=1,
    max_size=8,
)


@given(RANGES)
def test_every_range_lies_in_one_span_and_little_else_does(
    ranges: dict[str, tuple[int, int]],
) -> None:
    found = spans(ranges)
    assert sorted(name for span in found for name in span.ranges) == sorted(ranges)
    for span in found:
        assert sum(length for _, length in span.parts()) == span.length
        assert all(length <= PART_BYTES for _, length in span.parts())
        for name, (at, length) in span.ranges.items():
            assert (span.offset + at, length) == ranges[name]
            assert at + length <= span.length
    wanted = sum(length for _, length in ranges.values())
    gap = min(GAP_BYTES, GAP_SHARE * wanted)
    assert sum(span.length for span in found) <= wanted + gap * (len(ranges) - 1)


def test_columns_that_lie_together_are_one_request() -> None:
    small = {"dec": (1000, 512), "ra": (11_224, 512), "image": (21_448, 1_310_720)}
    assert [span.length for span in spans(small)] == [21_448 + 1_310_720 - 1000]
    far = {"dec": (1000, 512), "image": (1_000_000, 1_310_720)}
    assert len(spans(far)) == 2


def test_what_lies_together_is_fetched_once() -> None:
    body = bytes(range(256)) * 400
    fetched: list[tuple[int, int]] = []

    def read(offset: int, length: int) -> bytes:
        fetched.append((offset, length))
        assert offset + length <= len(body)
        return body[offset : offset + length]

    window = Window(read, len(body))
    for offset, length in ((0, 8), (8, 3000), (len(body) - 22, 22), (len(body) - 5000, 4000)):
        assert window.read(offset, length) == body[offset : offset + length]
    assert len(fetched) == 2
    assert window.read(30_000, 40_000) == body[30_000:70_000]
    assert fetched[2] == (30_000, 40_000)
