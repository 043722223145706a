"""How numbers are written: a real minus sign, the error in brackets, the interval with 'to'."""

import math
from dataclasses import dataclass

NONE = "–"


@dataclass(frozen=True)
class Interval:
    """A mean and the limits of its 95 % interval, in the units of the mean."""

    mean: float
    low: float
    high: float

    def words(self, decimals: int = 2) -> str:
        """Write it as ``0.46 (0.31 to 0.62)``."""
        return (
            f"{number(self.mean, decimals)} ({number(self.low, decimals)} to {number(self.high, decimals)})"
        )


def number(value: float, decimals: int = 2) -> str:
    """Write a number; nan is a dash, and what rounds to zero has no sign."""
    if math.isnan(value):
        return NONE
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:,.{decimals}f}"
    return text.replace("-", "−") if float(text.replace(",", "")) else f"{0:.{decimals}f}"


def measured(value: float, mcse: float, decimals: int = 3) -> str:
    """Write a simulated value with its Monte Carlo standard error in brackets."""
    if math.isnan(value):
        return NONE
    if math.isnan(mcse):
        return number(value, decimals)
    least = 10.0**-decimals
    error = f"<{least:.{decimals}f}" if 0 < mcse < least / 2 else number(mcse, decimals)
    return f"{number(value, decimals)} ({error})"
