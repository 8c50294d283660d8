"""Rounding that Python lacks: helpers copied into an emitted file that uses them."""


def make_divisible(value: float, divisor: int) -> int:
    """Round to a multiple of the divisor, but not below 0.9 of the value (as MobileNet does)."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded
