"""The parsed document: typed definitions with source addresses, and expressions not yet evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from specbuild.diagnostics.errors import SpecError
from specbuild.diagnostics.suggestions import join_names, suggest_name
from specbuild.frontend.edits import EditDef, parse_edits
from specbuild.frontend.source import Source, SourceAddress
from specbuild.ops import OPS

STEP_KEYS = ("from", "as", "when", "repeat", "expect", "doc", "merge", "with")
STRUCTURES = ("do", "parallel", "reuse", "use")
FILE_KEYS = (
    "specbuild",
    "model",
    "doc",
    "license",
    "imports",
    "params",
    "variants",
    "inputs",
    "blocks",
    "steps",
    "outputs",
    "edits",
    "weights",
)
BLOCK_KEYS = ("doc", "params", "inputs", "steps", "outputs")
PARAM_TYPES = ("int", "float", "number", "bool", "str", "list", "block")


@dataclass(frozen=True)
class ParamDef:
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


@dataclass(frozen=True)
class Argument:
    """The value of a parameter or attribute as written, and `env`: the values of the names in it."""

    raw: Any
    at: SourceAddress
    env: Mapping[str, Any] | None = None  # None: the parameters that are declared before this one


@dataclass(frozen=True)
class StepDef:
    """One step: an op, a block, or a structure (`do`, `parallel`, `reuse`, `use`)."""

    kind: str
    value: Any  # raw YAML under the op's key; in a step that an edit created, the block or op
    at: SourceAddress
    value_at: SourceAddress
    name: str | None = None
    sources: Any = None  # raw YAML of `from`
    when: Any = None
    repeat: Any = None
    expect: Any = None
    doc: str = ""
    merge: Any = None
    arguments: Any = None  # raw YAML of `with`
    steps: tuple[StepDef, ...] = ()  # of a `do`
    branches: Mapping[str, tuple[StepDef, ...]] | None = None  # of a `parallel`
    settings: Mapping[str, Argument] = field(default_factory=dict)  # attributes that edits set
    sources_at: SourceAddress | None = None  # the address of `sources`, if an edit gives them

    @property
    def from_at(self) -> SourceAddress:
        return self.sources_at or self.at.child("from")

    def error(self, code: str, message: str, hint: str = "") -> SpecError:
        """Return an error located at the op of the step."""
        if self.value_at.path == self.at.path:
            return self.at.error(code, message, hint)
        return self.value_at.error(code, message, hint, key=True)


@dataclass(frozen=True)
class BlockDef:
    """The definition of a block or of a model."""

    name: str
    doc: str
    params: Mapping[str, ParamDef]
    inputs: Mapping[str, Any]  # the axes of each input as raw YAML; None: any axes
    steps: tuple[StepDef, ...]
    outputs: Any  # raw YAML
    at: SourceAddress
    model: Spec | None = None  # for the model of a file: that file; None for any other block

    @property
    def source(self) -> Source:
        return self.at.source


@dataclass(frozen=True)
class Spec:
    """One spec file."""

    source: Source
    model: BlockDef | None  # None if the file has only blocks
    blocks: Mapping[str, BlockDef]
    imports: Mapping[str, str]
    variants: Mapping[str, Mapping[str, Any]]
    license: str
    weights: Mapping[str, Any]
    edits: tuple[EditDef, ...]


def parse_spec(source: Source) -> Spec:
    """Return the definitions in a file that has passed `validate_source`."""
    data, root = source.data, source.address_of()
    blocks = {
        name: parse_block(name, raw or {}, root.child("blocks", name))
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
        object.__setattr__(model, "model", spec)
    for name in blocks:
        if name in OPS or not name[0].isupper():
            raise root.child("blocks", name).error(
                "SB203",
                f"block names are CamelCase; {name!r} is not",
                f"call it {name[0].upper() + name[1:]}",
                key=True,
            )
    return spec


def parse_block(name: str, raw: Mapping[str, Any], at: SourceAddress) -> BlockDef:
    params = {
        p: parse_param(p, value, at.child("params", p)) for p, value in (raw.get("params") or {}).items()
    }
    declared = raw.get("inputs")
    if isinstance(declared, Mapping):
        inputs = declared
    else:
        inputs = {"x": None} if declared is None else dict.fromkeys(declared)
    steps = parse_steps(raw.get("steps") or [], at.child("steps"))
    return BlockDef(name, raw.get("doc") or "", params, inputs, steps, raw.get("outputs"), at)


def parse_param(name: str, raw: Any, at: SourceAddress) -> ParamDef:
    """Parse a parameter: a default (`kernel: 3`), a type (`channels: int`), or a mapping with both."""
    minimum = maximum = None
    choices: tuple[Any, ...] = ()
    doc = ""
    if isinstance(raw, Mapping):
        required = "default" not in raw
        default = raw.get("default")
        type_ = raw.get("type") or infer_param_type(default)
        minimum, maximum, doc = raw.get("min"), raw.get("max"), raw.get("doc") or ""
        choices = tuple(raw.get("enum") or ())
        if raw.get("type") is None and choices and required:
            type_ = infer_param_type(choices[0])
    elif isinstance(raw, str) and raw in PARAM_TYPES:
        required, default, type_ = True, None, raw
    else:
        required, default, type_ = False, raw, infer_param_type(raw)
    return ParamDef(name, type_, default, required, minimum, maximum, choices, doc, at)


def infer_param_type(value: Any) -> str:
    return {bool: "bool", int: "int", float: "float", str: "str", list: "list"}.get(type(value), "number")


def parse_steps(raw: list[Any], at: SourceAddress) -> tuple[StepDef, ...]:
    return tuple(parse_step(item, at.child(i)) for i, item in enumerate(raw))


def parse_step(raw: Any, at: SourceAddress) -> StepDef:
    if isinstance(raw, str):
        return StepDef(raw, None, at, at)
    kinds = [key for key in raw if key not in STEP_KEYS]
    if len(kinds) != 1:
        raise op_count_error(raw, kinds, at)
    [kind] = kinds
    value, value_at = raw[kind], at.child(kind)
    if isinstance(value, Mapping):
        for key in value:
            if key in STEP_KEYS and key != "with" and kind not in ("parallel", "weights"):
                raise value_at.child(key).error(
                    "SB105",
                    f"{key!r} is a key of the step, not of {kind!r}",
                    f"align it with {kind!r}",
                    key=True,
                )
    inner = parse_steps(value, value_at) if kind == "do" else ()
    branches = (
        {name: parse_steps(branch, value_at.child(name)) for name, branch in value.items()}
        if kind == "parallel"
        else None
    )
    return StepDef(
        kind,
        value,
        at,
        value_at,
        name=raw.get("as"),
        sources=raw.get("from"),
        when=raw.get("when"),
        repeat=raw.get("repeat"),
        expect=raw.get("expect"),
        doc=raw.get("doc") or "",
        merge=raw.get("merge"),
        arguments=raw.get("with"),
        steps=inner,
        branches=branches,
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
