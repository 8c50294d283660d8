"""Expressions for constant tables."""

from __future__ import annotations

from tests.system.random_specs.scope import Scope


def table(scope: Scope, axes: list[str], dtype: str, depth: int = 0) -> str:
    """An expression over axes that gives such a table."""
    random = scope.random
    pick = random.choice

    def whole(depth: int = depth) -> str:
        if depth > 1 or not axes or scope.chance(0.3):
            return pick(
                [
                    *axes,
                    *axes,
                    str(random.randint(1, 4)),
                    *[w for w, v in scope.words.items() if type(v) is int and "." not in w and w not in axes],
                ]
            )
        a, b = whole(depth + 1), whole(depth + 1)
        b = b if a != b else str(random.randint(5, 9))
        return pick(
            [
                f"{a} + {b}",
                f"{a} - {b}",
                f"{a} * {b}",
                f"({a} + 1) // {random.randint(1, 3)}",
                f"({a}) % {random.randint(2, 4)}",
                f"abs({a} - {b})",
                f"minimum({a}, {b})",
                f"maximum({a}, 2)",
                f"({a}) ** 2",
                f"-{pick([*axes, '1'])}",
                f"({a} if {truth(depth + 1)} else {b})",
            ]
        )

    def real(depth: int = depth) -> str:
        if depth > 1 or scope.chance(0.25):
            return pick(
                [
                    whole(depth + 1),
                    str(pick([0.5, 1.25, -2.0])),
                    f"{pick([*axes, '3'])} / {random.randint(2, 5)}",
                ]
            )
        a, b = real(depth + 1), real(depth + 1)
        return pick(
            [
                f"sin({a})",
                f"cos({a})",
                f"exp(-abs({a}))",
                f"sqrt(abs({a}) + 1)",
                f"log(abs({a}) + 2)",
                f"({a}) * ({b})",
                f"({a}) - {b}",
                f"({a}) / (abs({b}) + 1)",
                f"where({truth(depth + 1)}, {a}, {b})",
                f"sign({whole(depth + 1)} - 1)",
                f"2 ** -abs({whole(depth + 1)})",
                f"floor({a})",
                whole(depth),
            ]
        )

    def truth(depth: int = depth) -> str:
        a, b = whole(depth + 1), whole(depth + 1)
        b = b if a != b else str(random.randint(5, 9))
        simple = f"{a} {pick(['<', '<=', '>', '>=', '==', '!='])} {b}"
        return (
            simple
            if depth > 1 or scope.chance(0.6)
            else pick(
                [f"{simple} or {truth(depth + 1)}", f"not ({simple})", f"{simple} and {truth(depth + 1)}"]
            )
        )

    return {"bool": truth, "int32": whole}.get(dtype, real)()
