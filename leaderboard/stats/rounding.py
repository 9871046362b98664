"""Derived numbers are rounded once, so that every table, page and file shows the same."""


def rounded(value: float) -> float:
    """Return a derived number as every table, page and file shows it: with six decimals, or four digits if smaller."""
    return rounded_p(value) if 0 < abs(value) < 1e-3 else round(float(value), 6)


def rounded_p(p: float) -> float:
    """Return a p-value as every table, page and file shows it: with four significant digits."""
    return float(f"{p:.4g}")
