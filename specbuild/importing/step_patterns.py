"""Activations and norms that an author has written out become the op that computes the same: `x * sigmoid(x)` is silu."""

from __future__ import annotations

from collections import Counter

from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import BlockInput, NamedValue, Step, ValueSource

EPSILON = 1e-6  # of rms_norm, as by default
Reads = Counter[Step | BlockInput]


class PatternFinder:
    """Finds what several steps of one module compute together. `outputs` are the values that the module gives."""

    def __init__(self, low: Lowerer, outputs: list[NamedValue]):
        self.low, self.steps = low, low.steps
        self.reads: Reads = Counter(s.step for step in self.steps for s in step.sources)
        self.reads.update(value.source.step for value in outputs)

    def unite_all(self) -> None:
        """Replace every pattern by one step; the step that others read stays, and becomes this one."""
        for step in [s for s in self.steps if s.op == "multiply" and len(s.sources) == 2]:
            pairs = (step.sources, step.sources[::-1])
            if not any(self.unite_gate(step, *pair) for pair in pairs):
                any(self.unite_norm(step, *pair) for pair in pairs)

    def find_private(self, source: ValueSource, *ops: str) -> Step | None:
        """Return the step that computes a value, if it is one of these ops, and nothing else reads it."""
        step = source.step
        is_one = isinstance(step, Step) and step.op in ops and not source.part and step.reused is None
        return step if is_one and isinstance(step, Step) and self.reads[step] == 1 else None

    def unite_gate(self, step: Step, value: ValueSource, gate: ValueSource) -> bool:
        """Make one step of a value times its own sigmoid, or times that of the other half."""
        sigmoid = self.find_private(gate, "sigmoid")
        if sigmoid is None:
            return self.unite_mish(step, value, gate)
        [inner] = sigmoid.sources
        if inner == value:
            self.replace(step, "silu", [value], [sigmoid])
            return True
        halves = value.step
        is_glu = isinstance(halves, Step) and halves.op == "split" and inner.step is halves
        if not is_glu or not isinstance(halves, Step) or self.reads[halves] != 2:
            return False
        into = halves.attributes.get("into")
        if not isinstance(into, list) or [value.part, inner.part] != into or halves.attributes.get("sizes"):
            return False
        over = halves.attributes.get("over", "C")
        self.replace(step, "glu", list(halves.sources), [sigmoid, halves])
        step.attributes = {} if over == "C" else {"over": over}
        return True

    def unite_mish(self, step: Step, value: ValueSource, gate: ValueSource) -> bool:
        tanh = self.find_private(gate, "tanh")
        softplus = self.find_private(tanh.sources[0], "softplus") if tanh is not None else None
        if tanh is None or softplus is None or softplus.sources != [value] or softplus.attributes:
            return False
        self.replace(step, "mish", [value], [tanh, softplus])
        return True

    def unite_norm(self, step: Step, scaled: ValueSource, scale: ValueSource) -> bool:
        """Make one step of a value divided by its root mean square, times a weight for each channel."""
        weight, product = self.find_private(scale, "weight"), self.find_private(scaled, "multiply", "divide")
        if weight is None or product is None or not weight.attributes.get("trained", True):
            return False
        axes = [self.low.names.resolve(axis) for axis in weight.attributes["axes"]]
        if axes != ["C"]:
            return False
        for value, root in (product.sources, product.sources[::-1]):
            found = self.find_mean_square(value, root, product.op)
            if found is not None:
                gone, epsilon = found
                weights = {"weight": next(iter(weight.weights.values()))}
                step.name, step.weights = weight.name, weights
                self.low.weight_steps.update(
                    {p: step for p, s in self.low.weight_steps.items() if s is weight}
                )
                self.replace(step, "rms_norm", [value], [*gone, product, weight])
                step.attributes = {} if epsilon == EPSILON else {"epsilon": epsilon}
                return True
            if product.op == "divide":
                return False
        return False

    def find_mean_square(
        self, value: ValueSource, root: ValueSource, op: str
    ) -> tuple[list[Step], float] | None:
        """Return the steps from a value to the root of its mean square over the channels, and what is added to the square."""
        gone: list[Step] = []
        epsilon = 0.0
        source = root
        for ops in (("rsqrt",) if op == "multiply" else ("sqrt",), ("scale",), ("expand",), ("mean",)):
            step = self.find_private(source, *ops)
            if step is None and ops == ("expand",):
                continue
            if step is None:
                return None
            gone.append(step)
            [source] = step.sources
            if step.op == "scale":
                if set(step.attributes) != {"plus"}:
                    return None
                epsilon = step.attributes["plus"]
            if step.op == "mean" and step.attributes["over"] not in ("C", ["C"]):
                return None
        square = self.find_private(source, "square", "power")
        if square is None or square.sources != [value] or square.attributes.get("exponent", 2) != 2:
            return None
        return [*gone, square], epsilon

    def replace(self, step: Step, op: str, sources: list[ValueSource], gone: list[Step]) -> None:
        """Let a step compute by itself what the steps before it have computed with it."""
        for other in gone:
            self.steps.remove(other)
        self.reads.update(source.step for source in sources)
        step.op, step.attributes, step.sources, step.roles = op, {}, sources, ()
