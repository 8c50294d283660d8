"""How much of what is wrong `check` refuses: values of valid specs are replaced by ones that mean nothing there.

`python benchmarks/mutants.py --library 900 --specs 2000 --seed 0` prints the share, and each mutant that was accepted.
Texts that may say anything, such as `doc`, are left alone.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from specbuild.cli.check import check_opened  # noqa: E402
from specbuild.compiler.pipeline import open_spec  # noqa: E402
from specbuild.diagnostics.errors import SpecError, SpecErrors  # noqa: E402
from specbuild.frontend.source import Source  # noqa: E402

JUNK = ("zq_nowhere", "{zq: 1}", "[zq_nowhere, 1]", "-7", "1.5e300", "(", "zq.C > ")
FREE_KEYS = {
    *("doc", "license", "about", "model", "as", "names", "title", "authors", "year", "arxiv", "specbuild"),
}


def list_scalars(node: yaml.Node, key: str = "") -> Iterator[tuple[str, yaml.Node]]:
    """Yield the scalars of a file whose text has a meaning, each with the key above it."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value not in FREE_KEYS:
                yield from list_scalars(value, name.value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from list_scalars(item, key)
    elif node.value:
        yield key, node


def mutate(text: str, pick: random.Random) -> tuple[str, str, str] | None:
    """Return a changed text, the key above what changed, and what it became; None if there is nothing to change."""
    scalars = list(list_scalars(yaml.compose(text)))
    if not scalars:
        return None
    key, node = pick.choice(scalars)
    junk = pick.choice(JUNK)
    start, end = node.start_mark.index, node.end_mark.index
    line = text.count("\n", 0, start) + 1
    return text[:start] + junk + text[end:], key, f"line {line}: {text[start:end]} -> {junk}"


def is_refused(text: str, path: Path) -> bool:
    """Check a text in the place of a file. Other exceptions than those of a spec end the run."""
    try:
        opened = open_spec(Source(text, path.name), beside=path)
        check_opened(path.name, opened, None, [], log=lambda _: None)
    except (SpecError, SpecErrors):
        return True
    return False


def run_mutants(files: list[Path], count: int, pick: random.Random) -> None:
    kinds, refused, done = Counter[str](), 0, 0
    while done < count:
        path = pick.choice(files)
        mutant = mutate(path.read_text(), pick)
        if mutant is None:
            continue
        done += 1
        text, key, change = mutant
        if is_refused(text, path):
            refused += 1
        else:
            kinds[key] += 1
            print(f"accepted: {path.name} {key}: {change}", flush=True)
    print(
        f"{refused} of {done} refused ({100 * refused / max(done, 1):.1f} %); accepted by key: {dict(kinds)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--library", type=int, default=900)
    parser.add_argument("--specs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for folder, count in (("specbuild/library", given.library), ("specs", given.specs)):
        files = sorted((ROOT / folder).rglob("*.yaml"))
        print(f"{folder}: {len(files)} files, seed {given.seed}")
        with redirect_stderr(StringIO()):
            run_mutants(files, count, random.Random(f"{given.seed}/{folder}"))


if __name__ == "__main__":
    main()
