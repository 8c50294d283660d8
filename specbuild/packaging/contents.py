"""The files of a package, and their contents."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

from msgspec import Struct

from specbuild.api import Model
from specbuild.backends import BACKEND_NAMES
from specbuild.codegen.printer import print_module
from specbuild.codegen.tree import Module
from specbuild.compiler.audit import audit_source
from specbuild.compiler.output_files import file_header, stamp_source
from specbuild.diagnostics.errors import SpecError
from specbuild.ir.given_tables import find_stored_tables
from specbuild.packaging.file_audit import audit_module
from specbuild.packaging.init_file import init_module
from specbuild.packaging.markdown import code_block
from specbuild.packaging.model_facts import ModelFacts
from specbuild.packaging.model_tests import build_test_module
from specbuild.packaging.parity_results import load_results
from specbuild.packaging.project import PROJECT_NAME, package_place, render_pyproject
from specbuild.packaging.readme import ModelReadme
from specbuild.packaging.spec_options import describe_spec

Diagram = Literal["svg", "mermaid", "none"]

INIT_NAME, README_NAME, DIAGRAM_NAME, TYPED_NAME = "__init__.py", "README.md", "diagram.svg", "py.typed"
# Prefixes of file names: none in a package for one backend, else the name of the backend.
PREFIXES = ("", *(f"{name}_" for name in BACKEND_NAMES))
# Every file name that packages use. Other files in the folder belong to the user.
PACKAGE_FILE_NAMES = frozenset(
    {INIT_NAME, README_NAME, DIAGRAM_NAME, TYPED_NAME}
    | {f"{prefix}{part}.py" for prefix in PREFIXES for part in ("model", "weights")}
    | {f"test_{prefix}model.py" for prefix in PREFIXES}
)


def list_file_names(package: str, is_project: bool) -> frozenset[str]:
    """Return every file name that packages use, relative to the folder that is written."""
    if not is_project:
        return PACKAGE_FILE_NAMES
    inside = {f"{package_place(package)}{name}" for name in PACKAGE_FILE_NAMES if name != README_NAME}
    return frozenset({README_NAME, PROJECT_NAME, *inside})


class PackageFile(Struct, frozen=True, dict=True):
    """One file of a package. Its text is made on demand: a diagram needs Graphviz, and takes time."""

    name: str  # the path in the folder that is written
    description: str  # for the list of files in the README
    make_text: Callable[[], str]
    backend: str | None = None  # None: for all backends

    @cached_property
    def text(self) -> str:
        return self.make_text()

    @property
    def is_diagram(self) -> bool:
        return self.name.rpartition("/")[2] == DIAGRAM_NAME


class PackageOptions(Struct, frozen=True):
    """What to put into a package."""

    backends: Sequence[str]
    loaders: bool = False
    diagram: Diagram = "svg"
    parity: Path | None = None  # a report of `specbuild parity --json`
    is_project: bool = False  # whether the package is in src/ of a project that can be installed
    folder: str = ""  # the name of the folder, if it is not that of the package


def build_package(model: Model, name: str, options: PackageOptions) -> list[PackageFile]:
    """Return the files of a package; raises SpecError if a backend cannot express the model.

    Raises SB501 for a table whose numbers come with the weights: the tests of a package load none.
    """
    for path, node in find_stored_tables(model.graph).items():
        hint = "compile it to a file, and load the weights that `specbuild weights init` writes"
        message = f"{path} has too many numbers for code, and a package has no weights"
        raise node.at.error("SB501", message, hint)
    has_several = len(options.backends) > 1
    facts = [ModelFacts(model, backend, f"{backend}_" if has_several else "") for backend in options.backends]
    header = file_header(model.digest, model.spec.license)
    place = package_place(name) if options.is_project else ""
    results = () if options.parity is None else load_results(options.parity, model, options.backends)

    def render_init() -> str:
        return python_text(init_module(facts, header))

    def render_svg() -> str:
        return add_header_comment(render_diagram(model), header)

    def render_typed_marker() -> str:
        return stamp_source(f"# {header[0]}\n")

    files = [
        PackageFile(
            f"{place}{INIT_NAME}",
            "exports the model" if len(facts) == 1 else "imports the model files on first use",
            render_init,
        ),
        *(file for f in facts for file in framework_files(f, header, options.loaders, place)),
    ]
    if options.diagram == "svg":
        files.append(PackageFile(f"{place}{DIAGRAM_NAME}", "a diagram of the model", render_svg))
    files.append(
        PackageFile(f"{place}{TYPED_NAME}", "marks the package as typed (PEP 561)", render_typed_marker)
    )
    if options.is_project:

        def render_project() -> str:
            return stamp_source(render_pyproject(facts, name, options.loaders, header))

        files.append(
            PackageFile(PROJECT_NAME, "makes the project installable; edit it as you like", render_project)
        )

    def render_readme() -> str:
        readme = ModelReadme(
            facts,
            package=name,
            has_loaders=options.loaders,
            diagram=diagram_section(model, options, place),
            parity=results,
            files=[(README_NAME, "this file"), *((f.name, f.description) for f in files)],
            command=package_command(model, name, options),
            is_project=options.is_project,
        )
        return add_header_comment(readme.render(), header)

    return [*files, PackageFile(README_NAME, "", render_readme)]


def framework_files(
    facts: ModelFacts, header: tuple[str, ...], loaders: bool, place: str
) -> Iterator[PackageFile]:
    """Yield the model file, the weight loader and the test file of one framework; `place` is their folder."""
    title, backend = facts.title, facts.backend
    source = facts.model.source(backend)
    yield PackageFile(f"{place}{facts.module}.py", f"the model in {title}", lambda: source, backend)
    if loaders:
        verbs = "reads and writes" if facts.packaging.saves_loader_weights else "reads"
        yield PackageFile(
            f"{place}{facts.prefix}weights.py",
            f"{verbs} weights (needs `safetensors`)",
            lambda: weights_text(facts, header),
            backend,
        )
    test = f"{place}test_{facts.module}.py"
    yield PackageFile(
        test,
        f"tests the model in {title}: `pytest {test}`",
        lambda: python_text(build_test_module(facts, header), frozenset({facts.packaging.module})),
        backend,
    )


def python_text(module: Module, framework_modules: frozenset[str] = frozenset()) -> str:
    """Return a Python file after an audit, with its header."""
    text = print_module(module)
    audit_module(text, framework_modules)
    return stamp_source(text)


def weights_text(facts: ModelFacts, header: tuple[str, ...]) -> str:
    """Return the file that loads weights, audited like a model file."""
    doc = f"Load weights of {facts.name} in {facts.title} from files that `specbuild weights` writes."
    compiled = facts.model.compile_for(facts.backend)
    text = print_module(compiled.add_loader(Module(doc, (), (), header)))
    audit_source(text, facts.backend, loader=True)
    return stamp_source(text)


def add_header_comment(text: str, header: tuple[str, ...]) -> str:
    """Return Markdown or XML with the header as a comment."""
    return stamp_source(f"<!-- {header[0]} -->\n{text}")


def render_diagram(model: Model) -> str:
    """Return the SVG; an error suggests how to build a package without it."""
    from specbuild.diagram import DrawingStyle  # imported late: a package may have no diagram

    try:
        return model.picture("svg", look=DrawingStyle(shows_locations=False)).decode()
    except SpecError as error:
        hint = "`--diagram mermaid` needs no Graphviz, and `--diagram none` leaves the picture out"
        if error.code == "SB951":
            hint = f"in a checkout of specbuild: pip install '.[draw]'; {hint}"
        raise SpecError(error.code, error.message, hint=hint) from None


def diagram_section(model: Model, options: PackageOptions, place: str) -> str:
    """Return the part of the README that shows the diagram."""
    if options.diagram == "mermaid":
        return code_block(model.picture("mermaid").decode(), "mermaid")
    if options.diagram == "svg":
        return f"![{model.name}: the model as blocks, and each block in detail]({place}{DIAGRAM_NAME})"
    return ""


def package_command(model: Model, name: str, options: PackageOptions) -> str:
    """Return the command that writes the package."""
    backend = options.backends[0] if len(options.backends) == 1 else "all"
    text = f"specbuild compile {describe_spec(model)} --layout package --backend {backend} -o {options.folder or name}"
    text += " --project" if options.is_project else ""
    text += " --with-weights-loader" if options.loaders else ""
    text += f" --diagram {options.diagram}" if options.diagram != "svg" else ""
    return text + (" --parity parity.json" if options.parity is not None else "")
