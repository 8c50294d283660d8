"""Check the definitions of a file without sizes: also blocks, branches and defaults that its model does not use.

Sizes are not known here, so only errors that no size can mend are found: text that is no expression, unknown
names, values of a wrong type.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from specbuild.diagnostics.errors import SpecError
from specbuild.diagnostics.suggestions import join_names, suggest_name
from specbuild.elaborate.enum_comparisons import refuse_impossible_values
from specbuild.elaborate.members import FIELD
from specbuild.elaborate.model_alias import aliased_model
from specbuild.elaborate.step_entries import step_label
from specbuild.elaborate.step_inputs import move_inputs, suggest_block_parameter
from specbuild.elaborate.values import scalar_kind, unknown_parameter_error
from specbuild.expressions import ExpressionError, PartMeter, parse_expression
from specbuild.expressions.errors import unknown_name_error
from specbuild.frontend.document import STRUCTURES, BlockDef, ParamDef, Spec, StepDef
from specbuild.frontend.resolver import SpecFiles
from specbuild.frontend.source import SourceAddress
from specbuild.ops import OPS
from specbuild.ops.attribute_kinds import AttributeKind, AttributeValueError, Boolean, Integer, TableFormula
from specbuild.ops.base import Op, list_attributes

VISIBLE_ANYWHERE = ("i", "prev", "none")
REFERENCE = re.compile(r"[\w.*\[\]-]+")
NUMBERED_NAME = re.compile(r"(.*?)\d*")


def check_definitions(spec: Spec, files: SpecFiles) -> list[SpecError]:
    """Return the errors in the imports, the model and the blocks of a file."""
    errors = []
    for name in spec.imports:
        try:
            files.import_block(spec, name)
        except SpecError as error:
            errors.append(error)
    meter = PartMeter()
    for definition in (*([spec.model] if spec.model else []), *spec.blocks.values()):
        checker = DefinitionChecker(definition, files, meter)
        checker.check()
        if definition is spec.model:
            checker.check_variants(spec)
        errors += checker.errors
    return errors


class DefinitionChecker:
    """Collects the errors of one definition."""

    def __init__(self, definition: BlockDef, files: SpecFiles, meter: PartMeter):
        self.definition, self.files, self.meter = definition, files, meter
        self.errors: list[SpecError] = []
        self.steps = list(walk_steps(definition.steps))
        self.step_names = {step.name or step_label(step) for step in self.steps}
        self.step_names |= {name for step in self.steps for name in step.branches or ()}
        self.names = {*definition.params, *definition.inputs, *definition.lets, *VISIBLE_ANYWHERE}
        self.names |= {name for step in self.steps for name in step.foreach or ()}
        self.has_computed_names = any(step.names is not None for step in self.steps)

    def check(self) -> None:
        at = self.definition.at
        for param in self.definition.params.values():
            if not param.required:
                is_mapping = isinstance(param.at.read_value(), Mapping)
                self.check_argument(
                    param, param.default, param.at.child("default") if is_mapping else param.at
                )
        for name, raw in self.definition.lets.items():
            self.check_texts(raw, at.child("let", name))
        for step in self.steps:
            try:
                self.check_step(step)
            except SpecError as error:
                self.errors.append(error)
        self.check_outputs()

    def check_variants(self, spec: Spec) -> None:
        """Check the values of all variants. Not all of them may be elaborated: that can take too long."""
        for variant, values in spec.variants.items():
            for name, raw in values.items():
                at = spec.source.address_of(("variants", variant, name))
                if name in self.definition.params:
                    self.check_argument(self.definition.params[name], raw, at)
                else:
                    self.errors.append(unknown_parameter_error(self.definition, name, raw, at))

    def check_outputs(self) -> None:
        try:
            if aliased_model(self.definition, self.files) is not None:
                return  # they are steps of the other model
        except SpecError:
            return  # the steps have this error
        for target, at in list_output_references(self.definition):
            self.check_reference(target, at)

    def check_step(self, step: StepDef) -> None:
        at = step.at
        if step.when is not None:
            self.check_value(Boolean(), step.when, at.child("when"))
        if step.repeat is not None:
            self.check_value(Integer(0), step.repeat, at.child("repeat"))
        if isinstance(step.names, str):
            for text in FIELD.findall(step.names):
                self.check_expression(text, at.child("names"))
        self.check_sources(step.sources, step.from_at)
        if step.kind == "use":
            self.check_use(step)
        elif step.kind in OPS:
            self.check_op(step, OPS[step.kind])
        elif step.kind not in STRUCTURES:
            self.check_block(step)

    def check_use(self, step: StepDef) -> None:
        param = self.definition.params.get(step.value) if isinstance(step.value, str) else None
        if param is None or param.type != "block":
            blocks = [name for name, param in self.definition.params.items() if param.type == "block"]
            message = f"{step.value!r} is not a parameter of type `block`"
            hint = suggest_block_parameter(str(step.value), self.definition.params)
            hint = hint or suggest_name(str(step.value), blocks, "available:")
            raise step.value_at.error("SB202", message, hint)

    def check_op(self, step: StepDef, cls: type[Op]) -> None:
        inputs = {spec.name: spec for spec in cls.input_specs}
        if isinstance(step.value, list):
            for i, text in enumerate(step.value):
                self.check_reference(text, step.value_at.child(i))
            return
        attributes = list_attributes(cls)
        for key, raw in (step.value or {}).items():
            at = step.value_at.child(key)
            if key in attributes:
                self.check_value(attributes[key].kind, raw, at)
            elif key in inputs:
                self.check_sources(raw, at)

    def check_block(self, step: StepDef, takes_inputs: bool = True) -> None:
        """Check the arguments of a block. Only a step `takes_inputs` among them, not the value of a parameter."""
        at = step.value_at if step.value_at.path else step.at
        definition = self.files.find_block(self.definition.source, step.kind, at)
        if takes_inputs:
            step = move_inputs(definition, step)
            self.check_sources(step.sources if step.inputs_at else None, step.from_at)
        for key, raw in (step.value or {}).items() if isinstance(step.value, Mapping) else ():
            if key in definition.params:
                self.check_argument(definition.params[key], raw, step.value_at.child(key))
            elif not (key == "variant" and definition.model is not None):
                raise unknown_parameter_error(definition, key, raw, step.value_at.child(key))

    def check_argument(self, param: ParamDef, raw: Any, at: SourceAddress) -> None:
        """Check the value of a parameter: a default, or what a step gives."""
        if param.type == "block":
            self.check_block_argument(raw, at)
        elif param.type == "list":
            if isinstance(raw, str | list | tuple):
                self.check_texts(raw, at)
                self.check_mappings(raw, at)
            else:
                error = at.error("SB305", f"{param.name} must be a list", "for example, write [3, 4, 6, 3]")
                self.errors.append(error)
        else:
            self.check_value(scalar_kind(param), raw, at)
            is_known = not isinstance(raw, str) or (param.type == "str" and "${" not in raw)
            if param.choices and is_known and raw not in param.choices:
                choices = join_names(map(str, param.choices))
                message = f"{param.name} must be one of {choices}, not {raw}"
                self.errors.append(at.error("SB304", message))

    def check_mappings(self, raw: Any, at: SourceAddress) -> None:
        """Check the mappings in a list: each is a block with its arguments."""
        for i, item in enumerate(raw if isinstance(raw, list) else ()):
            if isinstance(item, Mapping):
                self.check_block_argument(item, at.child(i))
            else:
                self.check_mappings(item, at.child(i))

    def check_block_argument(self, raw: Any, at: SourceAddress) -> None:
        [(name, arguments)] = raw.items() if isinstance(raw, Mapping) and len(raw) == 1 else [(raw, None)]
        if not isinstance(name, str):
            hint = "for example, write CBAM, {CBAM: {reduction: 8}} or none"
            self.errors.append(at.error("SB305", "this parameter takes a block", hint))
            return
        if name in OPS or name == "none" or name in self.definition.params:
            return
        inner = at.child(name) if isinstance(raw, Mapping) else at
        try:
            self.check_block(StepDef(name, arguments, at, inner), takes_inputs=False)
        except SpecError as error:
            self.errors.append(error)

    def check_value(self, kind: AttributeKind, raw: Any, at: SourceAddress) -> None:
        """Check a value as far as it can be read without the values of names."""
        has_expressions = False

        def check_part(text: str) -> int:
            nonlocal has_expressions
            has_expressions = True
            expression = parse_expression(text)
            self.meter.count_parts(expression.text, expression.part_count)
            for name in expression.names:
                if name not in self.names and not self.is_step(name):
                    raise unknown_name_error(name, self.names, f"{name}." not in text)
            refuse_impossible_values(expression, self.definition.params)
            return 1

        # names in a formula can be axes of the table
        if isinstance(kind, TableFormula) or self.meter.is_spent:
            return
        try:
            kind.read_value(raw, check_part)
        except ExpressionError as error:
            self.errors.append(at.error(error.code, error.message, error.hint))
        except AttributeValueError as error:
            if not has_expressions:  # else the value is not known
                self.errors.append(at.child(*error.path).error(error.code, error.message, error.hint))

    def check_texts(self, raw: Any, at: SourceAddress) -> None:
        """Check every expression in a list of values and expressions."""
        if isinstance(raw, list | tuple):
            for i, part in enumerate(raw):
                self.check_texts(part, at.child(i))
        elif isinstance(raw, str):
            self.check_expression(raw, at)

    def check_expression(self, text: str, at: SourceAddress) -> None:
        if self.meter.is_spent:
            return
        try:
            expression = parse_expression(text)
            self.meter.count_parts(expression.text, expression.part_count)
            refuse_impossible_values(expression, self.definition.params)
        except ExpressionError as error:
            self.errors.append(at.error(error.code, error.message, error.hint))
            return
        names = expression.names
        unknown = next((name for name in names if name not in self.names and not self.is_step(name)), None)
        if unknown is not None:
            e = unknown_name_error(unknown, self.names, f"{unknown}." not in text)
            self.errors.append(at.error(e.code, e.message, e.hint))

    def check_sources(self, raw: Any, at: SourceAddress) -> None:
        if isinstance(raw, Mapping):
            for name, part in raw.items():
                self.check_sources(part, at.child(name))
        elif isinstance(raw, list):
            for i, part in enumerate(raw):
                self.check_sources(part, at.child(i))
        elif isinstance(raw, str):
            self.check_reference(raw, at)

    def check_reference(self, text: Any, at: SourceAddress) -> None:
        if not isinstance(text, str) or not text:
            return
        head, is_path = text.partition(".")[0], REFERENCE.fullmatch(text) is not None
        if not is_path:
            head = text
        elif head in self.names or head.isdigit() or self.is_step(head):
            return
        known = [*self.definition.inputs, *sorted(self.step_names)]
        message = f"no step or input is named {head!r}"
        self.errors.append(at.error("SB202", message, suggest_name(head, known, "available:")))

    def is_step(self, name: str) -> bool:
        """Return whether a step can have this name: its own, its label, or its label with a number."""
        if self.has_computed_names or name in self.step_names:
            return True
        match = NUMBERED_NAME.fullmatch(name)
        return match is not None and match[1] in self.step_names


def walk_steps(steps: tuple[StepDef, ...]) -> Iterator[StepDef]:
    """Yield steps with those inside groups and branches, and the ops of `merge` and `collect`."""
    for step in steps:
        yield step
        yield from walk_steps(step.steps)
        for branch in (step.branches or {}).values():
            yield from walk_steps(branch)
        for key, raw in (("merge", step.merge), ("collect", step.collect)):
            if isinstance(raw, Mapping) and len(raw) == 1:
                [(kind, value)] = raw.items()
                at = step.at.child(key)
                yield replace(StepDef(kind, value, at, at.child(kind)), name=step.name or step_label(step))


def list_output_references(definition: BlockDef) -> Iterator[tuple[Any, SourceAddress]]:
    """Yield what the outputs of a definition name, and where."""
    raw, at = definition.outputs, definition.at.child("outputs")
    if isinstance(raw, str):
        yield raw, at
    elif isinstance(raw, list):
        yield from ((target, at.child(i)) for i, target in enumerate(raw))
    elif isinstance(raw, Mapping):
        for name, target in raw.items():
            is_ordered = isinstance(target, Mapping)
            yield (
                (target.get("of") if is_ordered else target),
                at.child(name, *(["of"] if is_ordered else [])),
            )
