"""Sampling that Keras lacks: helpers copied into an emitted file that uses them."""

from keras import ops


def grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False):
    """Sample a map (B, places ..., C) at points from -1 to 1, by PyTorch's rules.

    The last axis of the grid has a coordinate for each axis of places, the last first.
    """
    sizes, channels = ops.shape(x)[1:-1], ops.shape(x)[-1]
    at = [
        sampled_position(grid[..., -1 - i], size, padding_mode, align_corners)
        for i, size in enumerate(sizes)
    ]
    first = [ops.round(p) if mode == "nearest" else ops.floor(p) for p in at]
    corners = [()]
    for _ in sizes:
        steps = (0,) if mode == "nearest" else (0, 1)
        corners = [(*corner, step) for corner in corners for step in steps]
    count = 1
    for size in sizes:
        count = count * size
    places = ops.reshape(x, (-1, count, channels))
    total = 0.0
    for corner in corners:
        index, weight = 0, 1.0
        for step, position, start, size in zip(corner, at, first, sizes):
            place, last = start + step, ops.cast(size - 1, start.dtype)
            if mode != "nearest":
                t = position - start
                weight = weight * (t if step else 1 - t)
            inside = ops.logical_and(place >= 0, place <= last)
            weight = weight * ops.cast(inside, x.dtype)
            index = index * size + ops.cast(ops.clip(place, 0, last), "int32")
        index = ops.reshape(index, (-1, count_points(grid), 1))
        weight = ops.reshape(weight, (-1, count_points(grid), 1))
        total = total + ops.take_along_axis(places, index, axis=1) * weight
    return ops.reshape(total, (-1, *ops.shape(grid)[1:-1], channels))


def count_points(grid):
    """The number of points of one sample."""
    count = 1
    for size in ops.shape(grid)[1:-1]:
        count = count * size
    return count


def sampled_position(coordinate, size, padding_mode, align_corners):
    """The position along an axis of a coordinate from -1 to 1."""
    size = ops.cast(size, coordinate.dtype)  # known only at run time, it is a tensor
    low, length = (0.0, size - 1) if align_corners else (-0.5, size)
    position = (coordinate + 1) / 2 * length + low
    if padding_mode == "reflection":
        distance = ops.abs(position - low)
        span = ops.maximum(length, 1)
        flips = ops.floor(distance / span)
        rest = distance - flips * span
        position = low + ops.where(
            ops.equal(ops.mod(flips, 2), 0), rest, ops.subtract(span, rest)
        )
    if padding_mode != "zeros":
        position = ops.clip(position, 0, size - 1)
    return position
