"""Numbers as people read them."""

from __future__ import annotations

HUGE = 1e6


def count(value: float | None) -> str:
    """`1,234`; a dash where there is none."""
    return "–" if value is None else f"{value:,.0f}"


def real(value: float | None, digits: int = 4) -> str:
    """The number with this many decimals and a real minus sign; a dash if there is none."""
    return "–" if value is None else _fixed(value, digits, "")


def signed(value: float | None, digits: int = 4) -> str:
    """As `real`, always with its sign."""
    return "–" if value is None else _fixed(value, digits, "+")


def _fixed(value: float, digits: int, sign: str) -> str:
    """Fixed decimals; a broken model's huge numbers, whose digits say nothing, as powers of ten."""
    kind = "f" if abs(value) < HUGE else "e"
    return f"{value:{sign}.{digits}{kind}}".replace("-", "−")


def percent(share: float | None) -> str:
    """A share of 1 as percent."""
    return "–" if share is None else f"{100 * share:.2f} %"


def seconds(value: float | None) -> str:
    """`12 ms`, `3.4 s`, `5 min 02 s`, `1 h 05 min`."""
    if value is None:
        return "–"
    if value < 1:
        return f"{1000 * value:.0f} ms"
    if value < 59.95:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def dollars(value: float | None) -> str:
    """US dollars with at least three significant digits."""
    if value is None:
        return "–"
    digits = 2 if value >= 1 else 4 if value >= 0.01 else 6
    return f"${value:,.{digits}f}"


def short_count(value: float) -> str:
    """`950`, `1.2k`, `10M`."""
    for unit, size_of in (("M", 1e6), ("k", 1e3)):
        if abs(value) >= size_of:
            return f"{value / size_of:.3g}{unit}"
    return f"{value:.3g}"


def size(value: float) -> str:
    """Bytes, in binary units."""
    for unit, least in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if value >= least:
            return f"{value / least:.1f} {unit}"
    return f"{value:.0f} bytes"


def short(text: object, limit: int = 400) -> str:
    """Text up to a length, with an ellipsis where it was cut."""
    words = str(text)
    return words if len(words) <= limit else words[: limit - 1] + "…"
