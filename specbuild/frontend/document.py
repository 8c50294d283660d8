"""The parsed document: typed definitions with source addresses, and expressions not yet evaluated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, field
from msgspec.structs import force_setattr

from specbuild.diagnostics.errors import SpecError
from specbuild.diagnostics.suggestions import join_names, suggest_name
from specbuild.frontend.about import NOTHING, About, parse_about
from specbuild.frontend.block_inputs import check_declared_inputs
from specbuild.frontend.default_types import (
    describe_broken_list,
    infer_expression_type,
    infer_value_type,
    read_default_expression,
)
from specbuild.frontend.edits import EditDef, parse_edits
from specbuild.frontend.foreign_names import write_inline
from specbuild.frontend.names import ReservedNames, check_class_name
from specbuild.frontend.source import Source, SourceAddress
from specbuild.ops import OPS

STEP_KEYS = (
    "from",
    "as",
    "when",
    "repeat",
    "foreach",
    "names",
    "splice",
    "scan",
    "collect",
    "expect",
    "doc",
    "draw",
    "merge",
    "with",
)
STRUCTURES = ("do", "parallel", "reuse", "use")
FILE_KEYS = (
    "specbuild",
    "model",
    "doc",
    "about",
    "license",
    "imports",
    "params",
    "variants",
    "inputs",
    "let",
    "blocks",
    "steps",
    "outputs",
    "edits",
    "weights",
)
BLOCK_KEYS = ("doc", "about", "params", "inputs", "let", "steps", "outputs")
PARAM_TYPES = ("int", "float", "number", "bool", "str", "list", "block")


class ParamDef(Struct, frozen=True):
    """A declared parameter of a block."""

    name: str
    type: str
    default: Any  # raw YAML
    required: bool  # whether it has no default
    minimum: float | None
    maximum: float | None
    choices: tuple[Any, ...]
    doc: str
    at: SourceAddress


class RawArgument(Struct, frozen=True):
    """The value of a parameter or attribute as written, and `env`: the values of the names in it."""

    raw: Any
    at: SourceAddress
    env: Mapping[str, Any] | None = None  # None: the parameters that are declared before this one


class StepDef(Struct, frozen=True):
    """One step: an op, a block, or a structure (`do`, `parallel`, `reuse`, `use`)."""

    kind: str
    value: Any  # raw YAML under the op's key; in a step that an edit created, the block or op
    at: SourceAddress
    value_at: SourceAddress
    name: str | None = None
    sources: Any = None  # raw YAML of `from`
    when: Any = None
    repeat: Any = None
    foreach: Mapping[str, Any] | None = None
    names: Any = None
    splice: Any = None
    scan: Any = None
    collect: Any = None
    expect: Any = None
    doc: str = ""
    row: int | str | None = None  # of a picture: its number, or `new`
    merge: Any = None
    arguments: Any = None  # raw YAML of `with`
    steps: tuple[StepDef, ...] = ()  # of a `do`
    branches: Mapping[str, tuple[StepDef, ...]] | None = None  # of a `parallel`
    settings: Mapping[str, RawArgument] = field(default_factory=dict)  # attributes that edits set
    sources_at: SourceAddress | None = None  # the address of `sources`, if an edit gives them
    inputs_at: SourceAddress | None = (
        None  # the address of `sources`, if they are written among the arguments
    )
    member_of: StepDef | None = None  # for a member of a repeat with `splice`: that step
    index: int | None = None  # the number of this member
    written_kind: str = ""  # what the file says, if `kind` is another form of it: `conv` for `kernel_conv`

    @property
    def title(self) -> str:
        """Its op, block or structure as the file says it."""
        return self.written_kind or self.kind

    @property
    def from_at(self) -> SourceAddress:
        return self.sources_at or self.inputs_at or self.at.child("from")

    def error(self, code: str, message: str, hint: str = "") -> SpecError:
        """Return an error located at the op of the step, which it calls by the name that the file says."""
        if self.written_kind:
            message, hint = (text.replace(self.kind, self.written_kind) for text in (message, hint))
        if self.value_at.path == self.at.path:
            return self.at.error(code, message, hint)
        return self.value_at.error(code, message, hint, key=True)


class BlockDef(Struct, frozen=True):
    """The definition of a block or of a model."""

    name: str
    doc: str
    params: Mapping[str, ParamDef]
    inputs: Mapping[str, Any]  # the axes of each input as raw YAML; None: any axes
    steps: tuple[StepDef, ...]
    outputs: Any  # raw YAML
    at: SourceAddress
    model: Spec | None = None  # for the model of a file: that file; None for any other block
    lets: Mapping[str, Any] = field(default_factory=dict)  # names for expressions, as raw YAML
    about: About = NOTHING

    def inputs_among(self, arguments: Any) -> list[str]:
        """Return the arguments of a call that are inputs of the block; a name of a parameter is the parameter."""
        if not isinstance(arguments, Mapping):
            return []
        taken = {*self.params, *(["variant"] if self.model is not None else [])}
        return [name for name in arguments if name in self.inputs and name not in taken]

    @property
    def source(self) -> Source:
        return self.at.source


class Spec(Struct, frozen=True):
    """One spec file."""

    source: Source
    model: BlockDef | None  # None if the file has only blocks
    blocks: Mapping[str, BlockDef]
    imports: Mapping[str, str]
    variants: Mapping[str, Mapping[str, Any]]
    license: str
    weights: Mapping[str, Any]
    edits: tuple[EditDef, ...]


def parse_spec(source: Source, reserved: Sequence[ReservedNames] = ()) -> Spec:
    """Return the definitions in a file that has passed `validate_source`; its model has no reserved name."""
    data, root = source.data, source.address_of()
    blocks = {
        name: parse_block(name, raw or {}, root.child("blocks", name), data.get("about"))
        for name, raw in (data.get("blocks") or {}).items()
    }
    model = (
        parse_block(data["model"], {key: data[key] for key in BLOCK_KEYS if key in data}, root)
        if "model" in data
        else None
    )
    spec = Spec(
        source,
        model,
        blocks,
        data.get("imports") or {},
        data.get("variants") or {},
        data.get("license") or "",
        data.get("weights") or {},
        parse_edits(data.get("edits") or [], root.child("edits")),
    )
    if model is not None:
        force_setattr(model, "model", spec)
        check_class_name(model.name, root.child("model"), "a model", reserved)
        if model.name in blocks:
            message = f"{model.name!r} is the name of the model and of a block"
            raise root.child("blocks", model.name).error("SB204", message, "rename one of them", key=True)
    for name in blocks:
        check_class_name(name, root.child("blocks", name), "a block")
        if name in OPS or not name[0].isupper():
            raise root.child("blocks", name).error(
                "SB203",
                f"block names are CamelCase; {name!r} is not",
                f"call it {name[0].upper() + name[1:]}",
                key=True,
            )
    return spec


def parse_block(
    name: str, raw: Mapping[str, Any], at: SourceAddress, about_file: Mapping[str, Any] | None = None
) -> BlockDef:
    params = parse_params(raw.get("params") or {}, at.child("params"))
    declared = raw.get("inputs")
    if isinstance(declared, Mapping):
        inputs = declared
    else:
        inputs = {"x": None} if declared is None else dict.fromkeys(declared)
    check_declared_inputs(inputs, at.child("inputs"))
    steps = parse_steps(raw.get("steps") or [], at.child("steps"))
    return BlockDef(
        name,
        raw.get("doc") or "",
        params,
        inputs,
        steps,
        raw.get("outputs"),
        at,
        lets=raw.get("let") or {},
        about=parse_about(raw.get("about"), about_file),
    )


def parse_params(raw: Mapping[str, Any], at: SourceAddress) -> dict[str, ParamDef]:
    params: dict[str, ParamDef] = {}
    above: dict[str, tuple[str, Any]] = {}
    for name, value in raw.items():
        params[name] = param = parse_param(name, value, at.child(name), above)
        above[name] = (param.type, param.default)
    return params


def parse_param(name: str, raw: Any, at: SourceAddress, above: Mapping[str, tuple[str, Any]]) -> ParamDef:
    """Parse a parameter: a default (`kernel: 3`), a type (`channels: int`), or a mapping with both.

    A default can be an expression over the parameters above, of which `above` has the type and the default.
    """
    minimum = maximum = None
    choices: tuple[Any, ...] = ()
    doc = ""
    if isinstance(raw, Mapping):
        required = "default" not in raw
        default = raw.get("default")
        minimum, maximum, doc = raw.get("min"), raw.get("max"), raw.get("doc") or ""
        choices = tuple(raw.get("enum") or ())
        type_ = raw.get("type")
        if type_ is None and isinstance(default, Mapping):
            message = f"the default of {name!r} is a block or an op, and its type is missing"
            hint = f"write `{name}: {{type: block, default: {write_inline(default)}}}`"
            raise at.child("default").error("SB102", message, hint)
        if type_ is None and default not in choices:
            type_, default = infer_param_type(default, above)
        elif type_ is None:
            type_ = infer_value_type(default)
        if raw.get("type") is None and choices and required:
            type_ = infer_value_type(choices[0])
    elif isinstance(raw, str) and raw in PARAM_TYPES:
        required, default, type_ = True, None, raw
    else:
        required = False
        type_, default = infer_param_type(raw, above)
    if isinstance(default, str) and (fault := describe_broken_list(default)):
        place = at.child("default") if isinstance(raw, Mapping) else at
        hint = "write a list as [3, 4, 6, 3], on one line, with both brackets"
        raise place.error("SB102", f"the default of {name!r} {fault}", hint)
    return ParamDef(name, type_, default, required, minimum, maximum, choices, doc, at)


def infer_param_type(default: Any, above: Mapping[str, tuple[str, Any]]) -> tuple[str, Any]:
    """Return the type of a parameter that has only this default, and the default for this type."""
    expression = read_default_expression(default, above)
    if expression is None:
        return infer_value_type(default), default
    type_ = infer_expression_type(expression.tree, above)
    return type_, (f"${{{default}}}" if type_ == "str" else default)


def parse_steps(raw: list[Any], at: SourceAddress, row: int | str | None = None) -> tuple[StepDef, ...]:
    """Return the steps of a list. `row` is where the structure around them is drawn; only the first begins a new row."""
    return tuple(
        parse_step(item, at.child(i), None if row == "new" and i else row) for i, item in enumerate(raw)
    )


def parse_step(raw: Any, at: SourceAddress, row: int | str | None = None) -> StepDef:
    """Return a step as it is written: its attributes are not evaluated yet. `row` is where pictures draw it."""
    if isinstance(raw, str):
        return StepDef(raw, None, at, at, row=row)
    kinds = [key for key in raw if key not in STEP_KEYS]
    if len(kinds) != 1:
        raise op_count_error(raw, kinds, at)
    [kind] = kinds
    check_member_keys(raw, at)
    if "scan" in raw and (kind in OPS or kind in ("do", "parallel", "reuse")):
        raise scan_error(kind, at)
    value, value_at = raw[kind], at.child(kind)
    written_kind = ""
    if kind in OPS and OPS[kind].given_form and isinstance(value, Mapping) and "weight" in value:
        written_kind, kind = kind, OPS[kind].given_form
    if isinstance(value, Mapping):
        for key in value:
            if key in STEP_KEYS and key != "with" and kind not in ("parallel", "weights"):
                raise value_at.child(key).error(
                    "SB105",
                    f"{key!r} is a key of the step, not of {kind!r}",
                    f"align it with {kind!r}",
                    key=True,
                )
    row = (raw.get("draw") or {}).get("row", row)
    inner = parse_steps(value, value_at, row) if kind == "do" else ()
    branches = (
        {name: parse_steps(branch, value_at.child(name), row) for name, branch in value.items()}
        if kind == "parallel"
        else None
    )
    return StepDef(
        kind,
        value,
        at,
        value_at,
        name=None if raw.get("as") is None else str(raw["as"]),
        sources=raw.get("from"),
        when=raw.get("when"),
        repeat=raw.get("repeat"),
        foreach=raw.get("foreach"),
        names=raw.get("names"),
        splice=raw.get("splice"),
        scan=raw.get("scan"),
        collect=raw.get("collect"),
        expect=raw.get("expect"),
        doc=raw.get("doc") or "",
        row=row,
        merge=raw.get("merge"),
        arguments=raw.get("with"),
        written_kind=written_kind,
        steps=inner,
        branches=branches,
    )


def check_member_keys(raw: Mapping[str, Any], at: SourceAddress) -> None:
    """Raise SB105 for keys of members without `repeat` or `foreach`, and for these two on one step."""
    if "repeat" in raw and "foreach" in raw:
        message = "a step has `repeat` for members one after another, or `foreach` for members side by side"
        raise at.child("foreach").error(
            "SB105", message, "put one of them on a `do` around the step", key=True
        )
    if "collect" in raw and "splice" in raw:
        message = (
            "`collect` gives a repeat another value, and the members of this one are in the group around it"
        )
        raise at.child("collect").error("SB105", message, "remove `splice` or `collect`", key=True)
    for key in ("names", "collect"):
        if key in raw and "repeat" not in raw and "foreach" not in raw:
            message = f"`{key}` is for the members of a `repeat` or a `foreach`"
            raise at.child(key).error("SB105", message, "add one of these", key=True)


def scan_error(kind: str, at: SourceAddress) -> SpecError:
    """Return the error for a `scan` beside something that is no block."""
    return at.child("scan").error(
        "SB105",
        f"`scan` applies a block to one position after another, and `{kind}` is none",
        "put the steps into a block under `blocks`, with the state as an input and an output of one name",
        key=True,
    )


def op_count_error(raw: Mapping[str, Any], kinds: list[str], at: SourceAddress) -> SpecError:
    if not kinds:
        return at.error(
            "SB103",
            "this step has no op and no block",
            "add one, such as `- relu` or `- conv: {channels: 64}`",
        )
    stray = next((k for k in kinds if k not in OPS and k not in STRUCTURES and not k[:1].isupper()), kinds[1])
    hint = suggest_name(stray, STEP_KEYS, otherwise="start a new step with `- ` for each")
    message = f"a step has exactly one op or block; this one has {join_names(map(repr, kinds))}"
    return at.child(stray).error("SB104", message, hint, key=True)
