"""The only printer of code trees. It writes what `ruff format` would leave: 88 columns, its default style.

An expression becomes a stream of text and marks (see `breaks`). A statement too long for its line is laid out
by the formatter's rules: brackets open first, and parentheses are added where an operator must end the line.
One layout is not followed: three brackets in a row, `a, b = f(...)(...)(...)`, that take several lines each.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from specbuild.codegen import literals as text
from specbuild.codegen.from_expression import from_words
from specbuild.codegen.line_breaks import (
    BEGIN,
    CLOSE,
    COMMA,
    END,
    EVERY,
    INDENT,
    LINE,
    OPEN,
    Stream,
    bracketed,
    columns_to_break,
    fits_around_brackets,
    lines,
    unbracketed,
    with_gaps,
)
from specbuild.codegen.literals import WIDTH, width
from specbuild.codegen.parentheses import Parentheses, can_omit_parentheses, parentheses
from specbuild.codegen.print_expressions import joined, stream, targets
from specbuild.codegen.tree import (
    Assign,
    Attribute,
    Blank,
    Class,
    Comment,
    Do,
    Expr,
    For,
    Function,
    Helper,
    If,
    Index,
    Infix,
    ListOf,
    Literal,
    Module,
    Name,
    Parameter,
    Prefix,
    Return,
    Statement,
    TupleOf,
    Unpack,
    walk,
)


def expression(expr: Expr) -> str:
    """The expression on one line."""
    return "".join(stream(expr))


# ------------------------------------------------------------------------------------------------- statements


def statement(node: Statement, indent: int) -> list[str]:
    """The lines of one statement, `indent` columns in."""
    match node:
        case Assign(target, value, None):
            return _line(f"{text.name(target)} = ", value, "", indent)
        case Assign(target, value, str() as annotation):
            return _annotated(text.name(target), _type(annotation), value, indent)
        case Unpack(names, value):
            return _unpack(list(map(_target, names)), value, indent)
        case Return(TupleOf(items)) if len(items) > 1:
            return _bare_tuple(items, indent)
        case Return(value):
            return _line("return ", value, "", indent)
        case Do(Infix("+" | "-" | "|") as value):
            return _line("", value, "", indent)
        case Do(Literal(str())):
            raise ValueError("a text that stands alone would be a docstring")
        case Do(value):
            return _fitted(unbracketed(stream(value)), indent)
        case For():
            return _for(node, indent) + _block(node.body, indent)
        case If():
            return _if("if ", node, indent)
        case Comment(words):
            return text.comment(words, indent)
        case Blank():
            return [""]
        case Function():
            return _function(node, indent)
        case Class():
            return _class(node, indent)
        case Helper(source):
            return source.splitlines()
    raise TypeError(f"not a statement: {node!r}")


@lru_cache(maxsize=1024)
def _type(annotation: str) -> Expr:
    """A type, read from its text; ValueError for one that would run anything but names, items and `|`."""
    tree = from_words(annotation)
    for part in walk(tree):
        is_union = isinstance(part, Infix) and part.operator == "|"
        if not is_union and not isinstance(part, _TYPES):
            raise ValueError(f"not a type: {annotation!r}")
    return tree


_TYPES = (Name, Attribute, Index, Literal, TupleOf, ListOf)


def _annotated(target: str, annotation: Expr, value: Expr, indent: int) -> list[str]:
    before = f"{target}: {expression(annotation)} = "
    if isinstance(annotation, Name | Literal):
        return _line(before, value, "", indent)
    content = stream(annotation) if isinstance(annotation, Index) else bracketed(stream(annotation))
    return _split(before, [f"{target}: ", *content, " = "], value, "", indent)


def _unpack(names: Sequence[str], value: Expr, indent: int) -> list[str]:
    if len(names) == 1:
        return _split(f"({names[0]},) = ", [*bracketed([names[0], ","]), " = "], value, "", indent)
    return _split(f"{', '.join(names)} = ", [*_apart(names), " = "], value, "", indent)


def _for(node: For, indent: int) -> list[str]:
    names = targets(node.target)
    before = f"for {', '.join(names)} in "
    last = [") in ", *unbracketed(stream(node.iterable)), ":"]
    if len(names) == 1 and indent + columns_to_break(last) > WIDTH:  # to break the name would not help
        return _line(before, node.iterable, ":", indent)
    return _split(before, ["for ", *_apart(names), " in "], node.iterable, ":", indent)


def _apart(names: Sequence[str]) -> Stream:
    """Names in brackets, each on a line of its own."""
    out: Stream = [names[0]]
    for name in names[1:]:
        out += (",", LINE, name)
    return bracketed([*out, COMMA] if len(names) > 1 else out)


def _target(target: str) -> str:
    return "*" + text.name(target[1:]) if target.startswith("*") else text.name(target)


def _if(word: str, node: If, indent: int) -> list[str]:
    result = _line(word, node.test, ":", indent) + _block(node.body, indent)
    match node.otherwise:
        case ():
            return result
        case (If() as other,):
            return result + _if("elif ", other, indent)
    return [*result, " " * indent + "else:", *_block(node.otherwise, indent)]


def _block(body: Sequence[Statement], indent: int) -> list[str]:
    if any(isinstance(node, _DEFINITIONS) for node in body):
        raise ValueError("a definition stands in a module, a class or a function, not in an if or a loop")
    return _suite(body, indent + INDENT)


def _bare_tuple(items: Sequence[Expr], indent: int) -> list[str]:
    content = joined(items)
    flat = " " * indent + "return " + "".join(content)
    return [flat] if width(flat) <= WIDTH else lines(["return ", *bracketed(content)], indent)


def _line(before: str, value: Expr, after: str, indent: int, rule: Parentheses | None = None) -> list[str]:
    """A statement that ends with an expression: on one line if it fits, else broken by the formatter's rules.

    `rule` replaces the one that the expression itself would have.
    """
    content = stream(value)
    flat = f"{' ' * indent}{before}{''.join(content)}{after}"
    if width(flat) <= WIDTH:
        return [flat]
    open_ = [before, *unbracketed(content), after]
    closed = [before, *bracketed(content), after]
    match rule or parentheses(value):
        case Parentheses.NEVER:
            return lines(open_, indent)
        case Parentheses.IF_THEY_HELP:
            helps = max(map(width, lines(closed, indent, broken=EVERY))) <= WIDTH
            return lines(closed if helps and not fits_around_brackets(open_, indent) else open_, indent)
    if not can_omit_parentheses(value):
        return lines(closed, indent)
    if fits_around_brackets(open_, indent):
        return lines(open_, indent)
    return lines([before, *bracketed(with_gaps(content)), after], indent)


def _split(before: str, broken: Stream, value: Expr, after: str, indent: int) -> list[str]:
    """A statement in which what is before the value may break too; `broken` is that part if it does.

    It breaks only if the value could not even begin on its line. Before that, a value that is a name, or a
    chain that begins with one, is put in parentheses.
    """
    content = stream(value)
    open_ = [*unbracketed(content), after]
    rule = parentheses(value)
    room = WIDTH - indent - width(before)
    if room >= width("".join(open_)):
        return [" " * indent + before + "".join(open_)]
    begins = room >= columns_to_break(open_)
    is_assigned_chain = not after and rule is Parentheses.IF_THEY_HELP and not isinstance(value, Prefix)
    if is_assigned_chain and room >= len("("):
        chain = open_ if begins and not isinstance(value, Name | Literal) else bracketed(open_)
        return lines([before, *chain], indent)
    if room >= len("(") if rule is Parentheses.IF_BROKEN else begins:
        return _line(before, value, after, indent)
    *first, last = lines(broken, indent, broken=1)
    rest = last.lstrip()
    return first + (lines([rest, *open_], indent) if is_assigned_chain else _line(rest, value, after, indent))


# ------------------------------------------------------------------------------------------------ definitions


def _suite(body: Sequence[Statement], indent: int, doc: Sequence[str] = (), after_doc: int = 0) -> list[str]:
    """The lines of a body; definitions stand apart from what is before and after them by empty lines."""
    result = list(doc)
    apart = 2 if indent == 0 else 1
    before: Statement | None = None
    asked = 0
    for at, node in enumerate(body):
        written = statement(node, indent)
        if isinstance(node, Blank):
            asked = 1
        elif written:
            if before is None:
                empty = max(after_doc, asked, _defines(body[at:])) if doc else 0
            elif isinstance(before, Comment):
                empty = apart if asked and _defines(body[at:]) else asked
            elif isinstance(before, _DEFINITIONS) or _defines(body[at:]):
                empty = apart
            else:
                empty = asked
            result += [""] * empty + written
            before, asked = node, 0
    if not doc and (before is None or all(isinstance(node, Comment | Blank) for node in body)):
        result.append(" " * indent + "pass")
    return result


_DEFINITIONS = (Function, Class, Helper)


def _defines(body: Sequence[Statement]) -> bool:
    """Whether a definition comes first, or a comment that stands over one."""
    code = (node for node in body if not isinstance(node, Comment | Blank))
    return isinstance(next(code, None), _DEFINITIONS)


def _function(node: Function, indent: int) -> list[str]:
    doc = text.docstring(node.doc, indent + INDENT)
    head = _signature(f"def {text.identifier(node.name)}", node, indent)
    return [*_decorators(node.decorators, indent), *head, *_suite(node.body, indent + INDENT, doc)]


def _signature(before: str, node: Function, indent: int) -> list[str]:
    if not node.parameters:
        if node.returns is None:
            return [" " * indent + before + "():"]
        return _line(f"{before}() -> ", _type(node.returns), ":", indent, Parentheses.IF_BROKEN)
    parameters = _parameters(node.parameters)
    if len(node.parameters) > 1 or node.parameters[0].keyword_only:
        parameters = [BEGIN, *parameters, END]
    after = "):" if node.returns is None else f") -> {expression(_type(node.returns))}:"
    *first, last = _fitted([before, "(", OPEN, *parameters, CLOSE, after], indent)
    if node.returns is not None and first and width(last) > WIDTH:
        return first + _line(") -> ", _type(node.returns), ":", indent)
    return [*first, last]


def _parameters(parameters: Sequence[Parameter]) -> Stream:
    out: Stream = []
    starred = False
    for parameter in parameters:
        if parameter.keyword_only and not starred:
            out += ("*", ",", LINE)
        starred = starred or parameter.keyword_only or parameter.variadic == "*"
        out.append(parameter.variadic + text.identifier(parameter.name))
        if parameter.annotation is not None:
            out += (": ", *stream(_type(parameter.annotation)))
        if parameter.default is not None:
            out.append("=" if parameter.annotation is None else " = ")
            out += stream(parameter.default)
        out += (",", LINE)
    return [*out[:-2], COMMA] if out else []


def _class(node: Class, indent: int) -> list[str]:
    bases = ["(", OPEN, BEGIN, *joined(map(Name, node.bases)), END, CLOSE, ")"] if node.bases else []
    head = _fitted([f"class {text.identifier(node.name)}", *bases, ":"], indent)
    doc = text.docstring(node.doc, indent + INDENT)
    return [*_decorators(node.decorators, indent), *head, *_suite(node.body, indent + INDENT, doc, 1)]


def _fitted(content: Stream, indent: int) -> list[str]:
    flat = " " * indent + "".join(content)
    return [flat] if width(flat) <= WIDTH else lines(content, indent)


def _decorators(decorators: Sequence[Expr], indent: int) -> list[str]:
    streams = (["@", *unbracketed(stream(decorator))] for decorator in decorators)
    return [line for content in streams for line in _fitted(content, indent)]


def module(node: Module) -> str:
    """The whole file, which ends with one line break."""
    head = [line for words in node.header_comments for line in text.comment(words, 0)]
    head += text.docstring(node.doc, 0)
    body = _suite(node.body, 0) if node.body else []
    result = head
    if node.imports:
        result += ([""] if result else []) + text.imports(node.imports)
    if body:
        result += [""] * (2 if _defines(node.body) else 1) if result else []
        result += body
    result[:2] = [text.without_coding(line) for line in result[:2]]
    return "".join(f"{line}\n" for line in result)
