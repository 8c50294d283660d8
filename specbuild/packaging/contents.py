"""The files of a package: which there are, and what each holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from specbuild.api import Model
from specbuild.backends import NAMES, load
from specbuild.codegen.printer import module
from specbuild.codegen.tree import Module
from specbuild.compiler import files as output
from specbuild.compiler.audit import audit
from specbuild.compiler.keras_weights_loader import with_loader
from specbuild.compiler.torch_weights_loader import loader
from specbuild.diagnostics.errors import SpecError
from specbuild.packaging.file_audit import looked_at
from specbuild.packaging.init_file import face
from specbuild.packaging.markdown import listing
from specbuild.packaging.model_facts import Facts
from specbuild.packaging.parity_results import measured
from specbuild.packaging.readme import Card
from specbuild.packaging.test_file import trial

Diagram = Literal["svg", "mermaid", "none"]

FACE, CARD, PICTURE, TYPED = "__init__.py", "README.md", "diagram.svg", "py.typed"
PREFIXES = ("", *(f"{name}_" for name in NAMES))
# Every name that some package has: what else lies in the folder is none of our business.
KNOWN = frozenset(
    {FACE, CARD, PICTURE, TYPED}
    | {f"{prefix}{part}.py" for prefix in PREFIXES for part in ("model", "weights")}
    | {f"test_{prefix}model.py" for prefix in PREFIXES}
)


@dataclass(frozen=True)
class File:
    """One file. What it holds is made when it is asked for: a picture needs Graphviz, and time."""

    name: str
    told: str  # what it is, for the card
    make: Callable[[], str]
    backend: str | None = None  # that it is for, if for one alone

    @cached_property
    def text(self) -> str:
        return self.make()

    @property
    def drawn(self) -> bool:
        return self.name == PICTURE


@dataclass(frozen=True)
class Wanted:
    """What a package is to hold."""

    backends: Sequence[str]
    loaders: bool = False
    diagram: Diagram = "svg"
    parity: Path | None = None  # a report of `specbuild parity --json`


def package(model: Model, name: str, wanted: Wanted) -> list[File]:
    """The files of the package of this name; raises SpecError where a backend cannot express the model."""
    several = len(wanted.backends) > 1
    facts = [Facts(model, backend, f"{backend}_" if several else "") for backend in wanted.backends]
    header = output.header(model.digest, model.spec.license)
    results = () if wanted.parity is None else measured(wanted.parity, model)
    files = [
        File(FACE, "what the package gives by name", lambda: python(face(facts, header))),
        *(file for f in facts for file in of_backend(f, header, wanted.loaders)),
    ]
    if wanted.diagram == "svg":
        files.append(File(PICTURE, "the model, drawn", lambda: marked(picture(model), header)))
    files.append(File(TYPED, "says that the package has types", lambda: output.stamped(f"# {header[0]}\n")))

    def card() -> str:
        listed = [(CARD, "this card"), *((f.name, f.told) for f in files)]
        said = Card(
            facts, name, wanted.loaders, diagram(model, wanted), results, listed, command(model, name, wanted)
        )
        return marked(said.text(), header)

    return [*files, File(CARD, "", card)]


def of_backend(facts: Facts, header: tuple[str, ...], loaders: bool) -> Iterator[File]:
    """The model in one framework, and what belongs to it."""
    title, backend = facts.title, facts.backend
    source = facts.model.source(backend)
    yield File(f"{facts.module}.py", f"the model in {title}", lambda: source, backend)
    if loaders:
        told = "reads and writes" if backend == "torch" else "reads"
        yield File(
            f"{facts.prefix}weights.py",
            f"{told} weights (needs `safetensors`)",
            lambda: weights(facts, header),
            backend,
        )
    test = f"test_{facts.module}.py"
    yield File(
        test, f"tests the model in {title}: `pytest {test}`", lambda: python(trial(facts, header)), backend
    )


def python(page: Module) -> str:
    """A file of Python, looked at."""
    text = module(page)
    looked_at(text)
    return output.stamped(text)


def weights(facts: Facts, header: tuple[str, ...]) -> str:
    """What reads weights, audited as a model is."""
    doc = f"Weights of {facts.name} in {facts.title}, as `specbuild weights` keeps them."
    graph = facts.model.graph
    if facts.backend == "torch":
        page = loader(graph, doc, header)
    else:
        page = with_loader(Module(doc, ("import keras",), (), header), graph)
    text = module(page)
    audit(text, load(facts.backend).name, loader=True)
    return output.stamped(text)


def marked(text: str, header: tuple[str, ...]) -> str:
    """A text of Markdown or XML with its header as a comment."""
    return output.stamped(f"<!-- {header[0]} -->\n{text}")


def picture(model: Model) -> str:
    """The SVG; where that cannot be, it is said how a package does without."""
    from specbuild.diagram import Look  # only here: a package may have no picture

    try:
        return model.picture("svg", look=Look(places=False)).decode()
    except SpecError as error:
        hint = "`--diagram mermaid` needs no Graphviz, and `--diagram none` leaves the picture out"
        if error.code == "SB951":
            hint = f"in a checkout of specbuild: pip install '.[draw]'; {hint}"
        raise SpecError(error.code, error.message, hint=hint) from None


def diagram(model: Model, wanted: Wanted) -> str:
    """The part of the card that shows the model."""
    if wanted.diagram == "mermaid":
        return listing(model.picture("mermaid").decode(), "mermaid")
    return (
        f"![{model.name}: the model as its blocks, and each of them opened]({PICTURE})"
        if wanted.diagram == "svg"
        else ""
    )


def command(model: Model, name: str, wanted: Wanted) -> str:
    """What writes the package; values given by `--set` are not told."""
    backend = wanted.backends[0] if len(wanted.backends) == 1 else "all"
    said = f"specbuild compile SPEC --layout package --backend {backend} -o {name}"
    said += f" --variant {model.variant}" if model.variant else ""
    said += " --with-weights-loader" if wanted.loaders else ""
    said += f" --diagram {wanted.diagram}" if wanted.diagram != "svg" else ""
    return said + (" --parity parity.json" if wanted.parity is not None else "")
