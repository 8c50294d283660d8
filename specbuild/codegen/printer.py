"""Prints code trees as `ruff format` would format them: 88 columns, default style. No other module prints.

An expression becomes a stream of text and break marks (see `line_breaks`). A statement that is too long for
its line is broken by the formatter's rules: first inside brackets; parentheses are added if it must break at
an operator. One case differs from the formatter: three calls in a row that take several lines each, as in
`a, b = f(...)(...)(...)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from specbuild.codegen.from_expression import parse_code
from specbuild.codegen.line_breaks import (
    ALL_LEVELS,
    BEGIN,
    CLOSE,
    COMMA,
    END,
    INDENT,
    LINE,
    OPEN,
    Stream,
    add_parentheses,
    break_lines,
    can_fit_around_brackets,
    columns_to_break,
    drop_outer_breaks,
    fill_outer_gaps,
)
from specbuild.codegen.literals import (
    LINE_WIDTH,
    check_dotted_name,
    check_identifier,
    check_imports,
    format_comment,
    format_docstring,
    strip_coding,
    text_width,
)
from specbuild.codegen.parentheses import ParenthesesRule, can_omit_parentheses, choose_parentheses
from specbuild.codegen.print_expressions import expression_stream, join_expressions, loop_targets
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
    Raise,
    Return,
    Statement,
    TupleOf,
    Unpack,
)
from specbuild.codegen.tree_walk import walk_expression


def print_expression(expr: Expr) -> str:
    """Return the expression on one line."""
    return "".join(expression_stream(expr))


# ------------------------------------------------------------------------------------------------- statements


def print_statement(node: Statement, indent: int) -> list[str]:
    """Return the lines of a statement, indented by `indent` columns."""
    match node:
        case Assign(target, value, None):
            return _print_line(f"{check_dotted_name(target)} = ", value, "", indent)
        case Assign(target, value, str() as annotation):
            return _print_annotated(check_dotted_name(target), _parse_type(annotation), value, indent)
        case Unpack(names, value):
            return _print_unpack(list(map(_check_target, names)), value, indent)
        case Return(TupleOf(items)) if len(items) > 1:
            return _print_bare_tuple(items, indent)
        case Return(value):
            return _print_line("return ", value, "", indent)
        case Raise(error):
            return _print_line("raise ", error, "", indent)
        case Do(Infix("+" | "-" | "|") as value):
            return _print_line("", value, "", indent)
        case Do(Literal(str())):
            raise ValueError("a string as a statement would be a docstring")
        case Do(value):
            return _print_stream(drop_outer_breaks(expression_stream(value)), indent)
        case For():
            return _print_for(node, indent) + _print_block(node.body, indent)
        case If():
            return _print_if("if ", node, indent)
        case Comment(text):
            return format_comment(text, indent)
        case Blank():
            return [""]
        case Function():
            return _print_function(node, indent)
        case Class():
            return _print_class(node, indent)
        case Helper(source):
            return source.splitlines()
    raise TypeError(f"not a statement: {node!r}")


@lru_cache(maxsize=1024)
def _parse_type(annotation: str) -> Expr:
    """Parse a type annotation; raises ValueError if it contains more than names, subscripts and `|`."""
    tree = parse_code(annotation)
    for part in walk_expression(tree):
        is_union = isinstance(part, Infix) and part.operator == "|"
        if not is_union and not isinstance(part, _TYPES):
            raise ValueError(f"not a type: {annotation!r}")
    return tree


_TYPES = (Name, Attribute, Index, Literal, TupleOf, ListOf)


def _print_annotated(target: str, annotation: Expr, value: Expr, indent: int) -> list[str]:
    before = f"{target}: {print_expression(annotation)} = "
    if isinstance(annotation, Name | Literal):
        return _print_line(before, value, "", indent)
    content = (
        expression_stream(annotation)
        if isinstance(annotation, Index)
        else add_parentheses(expression_stream(annotation))
    )
    return _print_split(before, [f"{target}: ", *content, " = "], value, "", indent)


def _print_unpack(names: Sequence[str], value: Expr, indent: int) -> list[str]:
    if len(names) == 1:
        return _print_split(
            f"({names[0]},) = ", [*add_parentheses([names[0], ","]), " = "], value, "", indent
        )
    return _print_split(f"{', '.join(names)} = ", [*_names_on_lines(names), " = "], value, "", indent)


def _print_for(node: For, indent: int) -> list[str]:
    names = loop_targets(node.target)
    before = f"for {', '.join(names)} in "
    last = [") in ", *drop_outer_breaks(expression_stream(node.iterable)), ":"]
    if len(names) == 1 and indent + columns_to_break(last) > LINE_WIDTH:  # breaking the name would not help
        return _print_line(before, node.iterable, ":", indent)
    return _print_split(before, ["for ", *_names_on_lines(names), " in "], node.iterable, ":", indent)


def _names_on_lines(names: Sequence[str]) -> Stream:
    """Return assignment targets in brackets, each on its own line."""
    out: Stream = [names[0]]
    for name in names[1:]:
        out += (",", LINE, name)
    return add_parentheses([*out, COMMA] if len(names) > 1 else out)


def _check_target(target: str) -> str:
    return "*" + check_dotted_name(target[1:]) if target.startswith("*") else check_dotted_name(target)


def _print_if(word: str, node: If, indent: int) -> list[str]:
    result = _print_line(word, node.test, ":", indent) + _print_block(node.body, indent)
    match node.otherwise:
        case ():
            return result
        case (If() as other,):
            return result + _print_if("elif ", other, indent)
    return [*result, " " * indent + "else:", *_print_block(node.otherwise, indent)]


def _print_block(body: Sequence[Statement], indent: int) -> list[str]:
    if any(isinstance(node, _DEFINITIONS) for node in body):
        raise ValueError("a definition must be in a module, a class or a function, not in an if or a loop")
    return _print_suite(body, indent + INDENT)


def _print_bare_tuple(items: Sequence[Expr], indent: int) -> list[str]:
    content = join_expressions(items)
    flat = " " * indent + "return " + "".join(content)
    return (
        [flat]
        if text_width(flat) <= LINE_WIDTH
        else break_lines(["return ", *add_parentheses(content)], indent)
    )


def _print_line(
    before: str, value: Expr, after: str, indent: int, rule: ParenthesesRule | None = None
) -> list[str]:
    """Return a statement that ends with an expression: one line if it fits, else broken by the formatter's rules.

    `rule` replaces the expression's own rule for parentheses.
    """
    content = expression_stream(value)
    flat = f"{' ' * indent}{before}{''.join(content)}{after}"
    if text_width(flat) <= LINE_WIDTH:
        return [flat]
    open_ = [before, *drop_outer_breaks(content), after]
    closed = [before, *add_parentheses(content), after]
    match rule or choose_parentheses(value):
        case ParenthesesRule.NEVER:
            return break_lines(open_, indent)
        case ParenthesesRule.IF_THEY_HELP:
            helps = max(map(text_width, break_lines(closed, indent, broken=ALL_LEVELS))) <= LINE_WIDTH
            return break_lines(
                closed if helps and not can_fit_around_brackets(open_, indent) else open_, indent
            )
    if not can_omit_parentheses(value):
        return break_lines(closed, indent)
    if can_fit_around_brackets(open_, indent):
        return break_lines(open_, indent)
    return break_lines([before, *add_parentheses(fill_outer_gaps(content)), after], indent)


def _print_split(before: str, broken: Stream, value: Expr, after: str, indent: int) -> list[str]:
    """Return a statement whose beginning may break as well as its value; `broken` is the beginning with break marks.

    The beginning breaks only if the value cannot start on the same line. A value that is a name, or a chain
    of accesses that begins with one, gets parentheses before the beginning breaks.
    """
    content = expression_stream(value)
    open_ = [*drop_outer_breaks(content), after]
    rule = choose_parentheses(value)
    room = LINE_WIDTH - indent - text_width(before)
    if room >= text_width("".join(open_)):
        return [" " * indent + before + "".join(open_)]
    can_begin = room >= columns_to_break(open_)
    is_assigned_chain = not after and rule is ParenthesesRule.IF_THEY_HELP and not isinstance(value, Prefix)
    if is_assigned_chain and room >= len("("):
        chain = open_ if can_begin and not isinstance(value, Name | Literal) else add_parentheses(open_)
        return break_lines([before, *chain], indent)
    if room >= len("(") if rule is ParenthesesRule.IF_BROKEN else can_begin:
        return _print_line(before, value, after, indent)
    *first, last = break_lines(broken, indent, broken=1)
    rest = last.lstrip()
    return first + (
        break_lines([rest, *open_], indent) if is_assigned_chain else _print_line(rest, value, after, indent)
    )


# ------------------------------------------------------------------------------------------------ definitions


def _print_suite(
    body: Sequence[Statement], indent: int, doc: Sequence[str] = (), after_doc: int = 0
) -> list[str]:
    """Return the lines of a body, with empty lines before and after definitions."""
    result = list(doc)
    separation = 2 if indent == 0 else 1
    before: Statement | None = None
    requested = 0
    for index, node in enumerate(body):
        printed = print_statement(node, indent)
        if isinstance(node, Blank):
            requested = 1
        elif printed:
            if before is None:
                empty = max(after_doc, requested, _has_leading_definition(body[index:])) if doc else 0
            elif isinstance(before, Comment):
                empty = separation if requested and _has_leading_definition(body[index:]) else requested
            elif isinstance(before, _DEFINITIONS) or _has_leading_definition(body[index:]):
                empty = separation
            else:
                empty = requested
            result += [""] * empty + printed
            before, requested = node, 0
    if not doc and (before is None or all(isinstance(node, Comment | Blank) for node in body)):
        result.append(" " * indent + "pass")
    return result


_DEFINITIONS = (Function, Class, Helper)


def _has_leading_definition(body: Sequence[Statement]) -> bool:
    """Return whether a body begins with a definition, or with comments above one."""
    code = (node for node in body if not isinstance(node, Comment | Blank))
    return isinstance(next(code, None), _DEFINITIONS)


def _print_function(node: Function, indent: int) -> list[str]:
    doc = format_docstring(node.doc, indent + INDENT)
    head = _print_signature(f"def {check_identifier(node.name)}", node, indent)
    return [
        *_print_decorators(node.decorators, indent),
        *head,
        *_print_suite(node.body, indent + INDENT, doc),
    ]


def _print_signature(before: str, node: Function, indent: int) -> list[str]:
    if not node.parameters:
        if node.returns is None:
            return [" " * indent + before + "():"]
        return _print_line(
            f"{before}() -> ", _parse_type(node.returns), ":", indent, ParenthesesRule.IF_BROKEN
        )
    parameters = _parameter_stream(node.parameters)
    if len(node.parameters) > 1 or node.parameters[0].keyword_only:
        parameters = [BEGIN, *parameters, END]
    after = "):" if node.returns is None else f") -> {print_expression(_parse_type(node.returns))}:"
    *first, last = _print_stream([before, "(", OPEN, *parameters, CLOSE, after], indent)
    if node.returns is not None and first and text_width(last) > LINE_WIDTH:
        return first + _print_line(") -> ", _parse_type(node.returns), ":", indent)
    return [*first, last]


def _parameter_stream(parameters: Sequence[Parameter]) -> Stream:
    out: Stream = []
    starred = False
    for parameter in parameters:
        if parameter.keyword_only and not starred:
            out += ("*", ",", LINE)
        starred = starred or parameter.keyword_only or parameter.variadic == "*"
        out.append(parameter.variadic + check_identifier(parameter.name))
        if parameter.annotation is not None:
            out += (": ", *expression_stream(_parse_type(parameter.annotation)))
        if parameter.default is not None:
            out.append("=" if parameter.annotation is None else " = ")
            out += expression_stream(parameter.default)
        out += (",", LINE)
    return [*out[:-2], COMMA] if out else []


def _print_class(node: Class, indent: int) -> list[str]:
    bases = (
        ["(", OPEN, BEGIN, *join_expressions(map(Name, node.bases)), END, CLOSE, ")"] if node.bases else []
    )
    head = _print_stream([f"class {check_identifier(node.name)}", *bases, ":"], indent)
    doc = format_docstring(node.doc, indent + INDENT)
    return [
        *_print_decorators(node.decorators, indent),
        *head,
        *_print_suite(node.body, indent + INDENT, doc, 1),
    ]


def _print_stream(content: Stream, indent: int) -> list[str]:
    flat = " " * indent + "".join(content)
    return [flat] if text_width(flat) <= LINE_WIDTH else break_lines(content, indent)


def _print_decorators(decorators: Sequence[Expr], indent: int) -> list[str]:
    streams = (["@", *drop_outer_breaks(expression_stream(decorator))] for decorator in decorators)
    return [line for content in streams for line in _print_stream(content, indent)]


def print_module(node: Module) -> str:
    """Return the source of the whole file; ends with one line break."""
    head = [line for text in node.header_comments for line in format_comment(text, 0)]
    head += format_docstring(node.doc, 0)
    body = _print_suite(node.body, 0) if node.body else []
    result = head
    if node.imports:
        result += ([""] if result else []) + check_imports(node.imports)
    if body:
        result += [""] * (2 if _has_leading_definition(node.body) else 1) if result else []
        result += body
    result[:2] = [strip_coding(line) for line in result[:2]]
    return "".join(f"{line}\n" for line in result)
