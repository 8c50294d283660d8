"""The only printer of code trees. It writes what `ruff format` would leave: 88 columns, its default style.

An expression becomes a stream of text and marks (see `breaks`); a statement that is too long for its line is laid
out by the formatter's rules: brackets open first, and parentheses are added where an operator must end the line.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from specbuild.emit import text
from specbuild.emit.code import (
    Assign,
    Attribute,
    Blank,
    Call,
    Class,
    Comment,
    Conditional,
    DictOf,
    Do,
    Expr,
    For,
    Function,
    Generator,
    Helper,
    If,
    Index,
    Infix,
    Input,
    ListComprehension,
    ListOf,
    Literal,
    Module,
    Name,
    Parameter,
    Prefix,
    Return,
    Slice,
    Star,
    Statement,
    TupleOf,
    Unpack,
)
from specbuild.emit.breaks import BEGIN, CLOSE, COMMA, END, INDENT, LINE, OPEN, SOFT, bracketed, lines, unbracketed
from specbuild.emit.text import WIDTH, width

_COMPARISONS = ("<", "<=", ">", ">=", "==", "!=", "in", "not in", "is", "is not")
PRECEDENCE = {
    "or": 2,
    "and": 3,
    **dict.fromkeys(_COMPARISONS, 5),
    "|": 6,
    "&": 8,
    **dict.fromkeys("+-", 10),
    **dict.fromkeys(("*", "/", "//", "%", "@"), 11),
    "**": 13,
}
_CONDITIONAL, _NOT, _COMPARISON, _OR_BITS, _UNARY, _POWER, _ATOM = 1, 4, 5, 6, 12, 13, 15
_PREFIXES = {"-": _UNARY, "~": _UNARY, "not": _NOT}

Stream = list[str]


def expression(expr: Expr) -> str:
    """The expression on one line."""
    return "".join(_stream(expr))


def _stream(expr: Expr) -> Stream:
    out: Stream = []
    _emit(expr, out)
    return out


def _emit(expr: Expr, out: Stream) -> None:
    _EMITTERS[type(expr)](expr, out)


def _precedence(expr: Expr) -> int:
    match expr:
        case Infix(operator):
            return PRECEDENCE[operator]
        case Prefix(operator):
            return _PREFIXES[operator]
        case Conditional():
            return _CONDITIONAL
        case Literal(int() | float() as value) if value < 0 and value != float("-inf"):
            return _UNARY
    return _ATOM


def _within(expr: Expr, least: int, out: Stream) -> None:
    """An operand, in parentheses if it binds less than `least`."""
    if _precedence(expr) < least:
        _parenthesized(expr, out)
    else:
        _emit(expr, out)


def _parenthesized(expr: Expr, out: Stream) -> None:
    out += ("(", OPEN)
    _emit(expr, out)
    out += (CLOSE, ")")


def _name(expr: Name, out: Stream) -> None:
    out.append(text.name(expr.text))


def _literal(expr: Literal, out: Stream) -> None:
    out.append(text.literal(expr.value))


def _input(expr: Input, out: Stream) -> None:
    raise AssertionError(f"operand {expr.index} was never put in its place")


# ------------------------------------------------------------------------------------------------------ operators


def _infix(expr: Infix, out: Stream) -> None:
    out.append(BEGIN)
    _chain(expr, out)
    out.append(END)


def _split_order(expr: Expr) -> int:
    """Operators of one order end their lines together; `and` and `or` are of one."""
    assert isinstance(expr, Infix)
    return max(PRECEDENCE[expr.operator], PRECEDENCE["and"])


def _chain(expr: Infix, out: Stream) -> None:
    left_least, right_least = _leasts(expr)
    _link(expr, expr.left, left_least, out)
    if expr.operator == "**" and _is_simple_base(expr.left) and _is_simple_power(expr.right):
        out += (SOFT, "**")
    else:
        out += (LINE, expr.operator, " ")
    _link(expr, expr.right, right_least, out)


def _leasts(expr: Infix) -> tuple[int, int]:
    """How tightly the left and the right operand must bind to need no parentheses."""
    own = PRECEDENCE[expr.operator]
    if own == _POWER:
        return _POWER + 1, _UNARY
    return own + (own == _COMPARISON), own + 1


def _link(expr: Infix, operand: Expr, least: int, out: Stream) -> None:
    if not isinstance(operand, Infix) or _precedence(operand) < least:
        _within(operand, least, out)
    elif _split_order(operand) == _split_order(expr):
        _chain(operand, out)
    else:
        _infix(operand, out)


def _is_simple_base(expr: Expr) -> bool:
    return _is_simple_power(expr) and _precedence(expr) == _ATOM


def _is_simple_power(expr: Expr) -> bool:
    match expr:
        case Name(path):
            return path != "..."
        case Literal(value):
            return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        case Prefix(operator, operand):
            return operator != "not" and _precedence(operand) >= _UNARY and _is_simple_power(operand)
        case Attribute(of):
            return isinstance(of, Name | Attribute) and _is_simple_power(of)
    return False


def _prefix(expr: Prefix, out: Stream) -> None:
    out.append("not " if expr.operator == "not" else expr.operator)
    if _is_wrapped_operand(expr):
        _parenthesized(expr.operand, out)
    else:
        _emit(expr.operand, out)


def _conditional(expr: Conditional, out: Stream) -> None:
    out.append(BEGIN)
    _branches(expr, out)
    out.append(END)


def _branches(expr: Conditional, out: Stream) -> None:
    _within(expr.then, _CONDITIONAL + 1, out)
    out += (LINE, "if ")
    _within(expr.test, _CONDITIONAL + 1, out)
    out += (LINE, "else ")
    if isinstance(expr.otherwise, Conditional):
        _branches(expr.otherwise, out)
    else:
        _emit(expr.otherwise, out)


# ------------------------------------------------------------------------------------------------------- brackets


def _bracket(left: str, items: Sequence[Expr], right: str, out: Stream) -> None:
    if not items:
        out.append(left + right)
        return
    out += (left, OPEN)
    _items(items, out)
    out += (CLOSE, right)


def _items(items: Iterable[Expr], out: Stream) -> None:
    count = 0
    for item in items:
        if count:
            out += (",", LINE)
        _emit(item, out)
        count += 1
    if count > 1:
        out.append(COMMA)


def _list(expr: ListOf, out: Stream) -> None:
    _bracket("[", expr.items, "]", out)


def _tuple(expr: TupleOf, out: Stream) -> None:
    if len(expr.items) == 1:
        out += ("(", OPEN)
        _emit(expr.items[0], out)
        out += (",", CLOSE, ")")
    else:
        _bracket("(", expr.items, ")", out)


def _dict(expr: DictOf, out: Stream) -> None:
    if not expr.items:
        out.append("{}")
        return
    out += ("{", OPEN)
    for at, (key, value) in enumerate(expr.items):
        if at:
            out += (",", LINE)
        if key is None:
            out.append("**")
            _within(value, _OR_BITS, out)
        else:
            _emit(key, out)
            out.append(": ")
            _emit(value, out)
    if len(expr.items) > 1:
        out.append(COMMA)
    out += (CLOSE, "}")


def _star(expr: Star, out: Stream) -> None:
    out.append("*")
    _within(expr.of, _OR_BITS, out)


def _list_comprehension(expr: ListComprehension, out: Stream) -> None:
    out += ("[", OPEN)
    _comprehension(expr, out)
    out += (CLOSE, "]")


def _generator(expr: Generator, out: Stream) -> None:
    out += ("(", OPEN)
    _comprehension(expr, out)
    out += (CLOSE, ")")


def _comprehension(expr: Generator | ListComprehension, out: Stream) -> None:
    out += (BEGIN, BEGIN)
    _emit(expr.element, out)
    out += (END, LINE, f"for {_targets(expr.target)} in ")
    _within(expr.iterable, _CONDITIONAL + 1, out)
    out.append(END)


def _targets(targets: str) -> str:
    return ", ".join(text.name(target.strip()) for target in targets.split(","))


# --------------------------------------------------------------------------------------- calls, items, attributes


def _access(expr: Call | Index | Attribute, out: Stream) -> None:
    if _is_fluent(expr):
        out.append(BEGIN)
        _access_link(expr, out, True)
        out.append(END)
    else:
        _access_link(expr, out, False)


def _is_fluent(expr: Expr) -> bool:
    """Whether the dots of a chain of calls may begin lines: at least two of them follow a bracket."""
    dots = 0
    while isinstance(expr, Call | Index | Attribute):
        inner = expr.function if isinstance(expr, Call) else expr.of
        dots += isinstance(expr, Attribute) and (isinstance(inner, Call | Index) or _precedence(inner) < _ATOM)
        expr = inner
    return dots >= 2


def _access_link(expr: Call | Index | Attribute, out: Stream, fluent: bool) -> None:
    inner = expr.function if isinstance(expr, Call) else expr.of
    is_number = isinstance(inner, Literal) and isinstance(inner.value, int | float) and isinstance(expr, Attribute)
    wrapped = _precedence(inner) < _ATOM or is_number
    if wrapped:
        _parenthesized(inner, out)
    elif isinstance(inner, Call | Index | Attribute):
        _access_link(inner, out, fluent)
    else:
        _emit(inner, out)
    if isinstance(expr, Call):
        _arguments(expr, out)
    elif isinstance(expr, Index):
        _index(expr, out)
    else:
        if fluent and (wrapped or isinstance(inner, Call | Index)):
            out.append(SOFT)
        out += (".", text.name(expr.name))


def _arguments(expr: Call, out: Stream) -> None:
    if not expr.args and not expr.keywords:
        out.append("()")
        return
    out += ("(", OPEN, BEGIN)
    if len(expr.args) == 1 and not expr.keywords and isinstance(expr.args[0], Generator):
        _comprehension(expr.args[0], out)
    else:
        _items(expr.args, out)
        if expr.keywords:
            _keywords(expr, out)
    out += (END, CLOSE, ")")


def _keywords(expr: Call, out: Stream) -> None:
    if out[-1] is COMMA:
        out.pop()
    for at, (name, value) in enumerate(expr.keywords):
        if at or expr.args:
            out += (",", LINE)
        out.append("**" if name == "**" else f"{text.name(name)}=")
        _emit(value, out)
    if len(expr.args) + len(expr.keywords) > 1:
        out.append(COMMA)


def _index(expr: Index, out: Stream) -> None:
    out += ("[", OPEN)
    if len(expr.items) > 1:
        out.append(BEGIN)
        _items(expr.items, out)
        out.append(END)
    else:
        _emit(expr.items[0], out)
    out += (CLOSE, "]")


def _slice(expr: Slice, out: Stream) -> None:
    parts = [part for part in (expr.lower, expr.upper, expr.step) if part is not None]
    space = "" if all(map(_is_simple_bound, parts)) else " "
    if expr.lower is not None:
        _emit(expr.lower, out)
        out.append(space)
    out.append(":")
    if expr.upper is not None:
        out.append(space)
        _emit(expr.upper, out)
    if expr.step is not None:
        out += (space if expr.upper is not None else "", ":", space)
        _emit(expr.step, out)


def _is_simple_bound(expr: Expr) -> bool:
    match expr:
        case Prefix(operator, operand):
            return operator != "not" and _is_simple_bound(operand)
        case Name(path):
            return "." not in path
        case Literal(float() as value):
            return math.isfinite(value)
    return isinstance(expr, Literal)


_EMITTERS: dict[type, Callable[[Any, Stream], None]] = {
    Name: _name,
    Literal: _literal,
    Input: _input,
    Infix: _infix,
    Prefix: _prefix,
    Conditional: _conditional,
    ListOf: _list,
    TupleOf: _tuple,
    DictOf: _dict,
    Star: _star,
    Generator: _generator,
    ListComprehension: _list_comprehension,
    Call: _access,
    Index: _access,
    Attribute: _access,
    Slice: _slice,
}

# ----------------------------------------------------------------------------------------------------- statements


def statement(node: Statement, indent: int) -> list[str]:
    """The lines of one statement, `indent` columns in."""
    match node:
        case Assign(target, value, None):
            return _line(f"{text.name(target)} = ", value, "", indent)
        case Assign(target, value, str() as annotation):
            return _line(f"{text.name(target)}: {text.annotation(annotation)} = ", value, "", indent)
        case Unpack(targets, value):
            return _line(f"{', '.join(map(_target, targets))} = ", value, "", indent)
        case Return(TupleOf(items)) if len(items) > 1:
            return _bare_tuple(items, indent)
        case Return(value):
            return _line("return ", value, "", indent)
        case Do(value):
            return _line("", value, "", indent)
        case For(target, iterable, body):
            head = _line(f"for {_targets(target)} in ", iterable, ":", indent)
            return head + _suite(body, indent + INDENT)
        case If(test, body, otherwise):
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


def _target(target: str) -> str:
    return "*" + text.name(target[1:]) if target.startswith("*") else text.name(target)


def _if(word: str, node: If, indent: int) -> list[str]:
    result = _line(word, node.test, ":", indent) + _suite(node.body, indent + INDENT)
    match node.otherwise:
        case ():
            return result
        case (If() as other,):
            return result + _if("elif ", other, indent)
    return [*result, " " * indent + "else:", *_suite(node.otherwise, indent + INDENT)]


def _bare_tuple(items: Sequence[Expr], indent: int) -> list[str]:
    stream: Stream = []
    _items(items, stream)
    flat = " " * indent + "return " + "".join(stream)
    return [flat] if width(flat) <= WIDTH else lines(["return ", *bracketed(stream)], indent)


def _line(before: str, value: Expr, after: str, indent: int) -> list[str]:
    stream = _stream(value)
    flat = f"{' ' * indent}{before}{''.join(stream)}{after}"
    if width(flat) <= WIDTH:
        return [flat]
    open_lines = [before, *unbracketed(stream), after]
    closed_lines = [before, *bracketed(stream), after]
    match _parentheses(value):
        case "never":
            return lines(open_lines, indent)
        case "if they help":
            broken = lines(closed_lines, indent)
            return broken if before and max(map(width, broken)) <= WIDTH else [flat]
    if _can_omit_parentheses(value) and max(map(width, lines(open_lines, indent, explode=True))) <= WIDTH:
        return lines(open_lines, indent)
    return lines(closed_lines, indent)


def _parentheses(expr: Expr) -> str:
    """When a whole expression that is too long gets parentheses: "never", "if broken" or "if they help"."""
    match expr:
        case Infix() | Conditional():
            return "if broken"
        case Name() | Literal():
            return "if they help"
        case Prefix(operator, operand):
            is_power = isinstance(operand, Infix) and operand.operator == "**"
            return "never" if is_power or _precedence(operand) < _PREFIXES[operator] else _parentheses(operand)
        case Call() | Index() | Attribute() if _is_fluent(expr):
            return "if broken"
        case Attribute(of):
            return "never" if _precedence(of) < _ATOM else _parentheses(of)
        case Call(function=inner) | Index(of=inner):
            if _precedence(inner) < _ATOM:
                return "never"
            kind = _parentheses(inner)
            return "never" if kind == "if they help" else kind
    return "never"


def _can_omit_parentheses(expr: Expr) -> bool:
    """Whether a long expression may break inside of its own brackets instead of in new parentheses."""
    shape = _Shape()
    shape.visit_inside(expr)
    if not shape.has_brackets or shape.count > 1:
        return False
    if shape.loosest in (_NO_OPERATOR, _DOT):
        return True
    return _ends_in_bracket(shape.last) or _ends_in_bracket(shape.first)


_NO_OPERATOR, _DOT = 0, 1


def _ends_in_bracket(edge: tuple[Expr, bool] | None) -> bool:
    """Whether an outermost operand has brackets with something in them; those of an index do not count."""
    if edge is None:
        return False
    expr, wrapped = edge
    return not isinstance(expr, Index) and (wrapped or _has_brackets(expr) == "filled")


def _has_brackets(expr: Expr) -> str:
    """Brackets of the expression's own: "filled", "empty" or "" for none."""
    match expr:
        case Call(_, args, keywords):
            return "filled" if args or keywords else "empty"
        case ListOf(items) | TupleOf(items) | DictOf(items):
            return "filled" if items else "empty"
        case Index() | ListComprehension() | Generator():
            return "filled"
    return ""


class _Shape:
    """What the formatter looks at: the loosest operators, how many they are, and the outermost operands."""

    def __init__(self) -> None:
        self.loosest = _NO_OPERATOR
        self.count = 0
        self.has_brackets = False
        self.first: tuple[Expr, bool] | None = None
        self.has_first = False
        self.last: tuple[Expr, bool] | None = None

    def operator(self, looseness: int, count: int = 1) -> None:
        if looseness > self.loosest:
            self.loosest, self.count = looseness, count
        elif looseness == self.loosest:
            self.count += count

    def visit(self, expr: Expr, wrapped: bool) -> None:
        self.last = (expr, wrapped)
        if wrapped:
            self.has_brackets = True
        else:
            self.visit_inside(expr)
        if not self.has_first:
            self.has_first, self.first = True, (expr, wrapped)

    def visit_inside(self, expr: Expr) -> None:
        match expr:
            case DictOf() | ListOf() | TupleOf() | ListComprehension() | Generator():
                self.has_brackets = True
            case Infix(operator, left, right):
                left_least, right_least = _leasts(expr)
                self.operator(_LOOSENESS - max(PRECEDENCE[operator], PRECEDENCE["and"]))
                self.visit(left, _precedence(left) < left_least)
                self.visit(right, _precedence(right) < right_least)
            case Conditional(test, then, otherwise):
                self.operator(_LOOSENESS - _CONDITIONAL, 2)
                self.visit(then, isinstance(then, Conditional))
                self.visit(test, isinstance(test, Conditional))
                self.visit(otherwise, False)
            case Prefix(operator, operand):
                if operator == "~":
                    self.operator(_LOOSENESS - _UNARY)
                self.has_first = True
                self.visit(operand, _is_wrapped_operand(expr))
            case Call(function=inner) | Index(of=inner):
                self.has_brackets = True
                self.visit(inner, _precedence(inner) < _ATOM)
                self.last = (expr, False)
            case Attribute(of):
                wrapped = _precedence(of) < _ATOM
                self.visit(of, wrapped)
                if wrapped or _has_brackets(of):
                    self.operator(_DOT)
                self.last = (expr, False)


_LOOSENESS = 20


def _is_wrapped_operand(expr: Prefix) -> bool:
    is_power = isinstance(expr.operand, Infix) and expr.operand.operator == "**"
    return is_power or _precedence(expr.operand) < _PREFIXES[expr.operator]


# ---------------------------------------------------------------------------------------------------- definitions


def _suite(body: Sequence[Statement], indent: int, doc: Sequence[str] = (), after_doc: int = 0) -> list[str]:
    """The lines of a body; definitions stand apart from what is before and after them by empty lines."""
    result = list(doc)
    apart = 2 if indent == 0 else 1
    before: Statement | None = None
    asked = 0
    for at, node in enumerate(body):
        if isinstance(node, Blank):
            asked = 1
            continue
        defines = isinstance(_commented(body, at), Function | Class | Helper)
        if before is None:
            empty = max(after_doc, asked, int(defines)) if doc else 0
        elif isinstance(before, Function | Class | Helper) or defines and not isinstance(before, Comment):
            empty = apart
        else:
            empty = asked
        result += [""] * empty + statement(node, indent)
        before, asked = node, 0
    if not doc and all(isinstance(node, Comment | Blank) for node in body):
        result.append(" " * indent + "pass")
    return result


def _commented(body: Sequence[Statement], at: int) -> Statement | None:
    """The statement that a comment stands over; any other statement is its own."""
    return next((node for node in body[at:] if not isinstance(node, Comment)), None)


def _function(node: Function, indent: int) -> list[str]:
    margin = " " * indent
    returns = "" if node.returns is None else f" -> {text.annotation(node.returns)}"
    stream: Stream = [f"def {text.name(node.name)}"]
    if node.parameters:
        stream += ("(", OPEN)
        single = len(node.parameters) == 1 and not node.parameters[0].keyword_only
        stream += () if single else (BEGIN,)
        _parameters(node.parameters, stream)
        stream += (COMMA, CLOSE) if single else (COMMA, END, CLOSE)
        stream.append(f"){returns}:")
    else:
        stream.append(f"(){returns}:")
    flat = margin + "".join(stream)
    head = [flat] if width(flat) <= WIDTH else lines(stream, indent)
    doc = text.docstring(node.doc, indent + INDENT)
    return [*_decorators(node.decorators, indent), *head, *_suite(node.body, indent + INDENT, doc)]


def _parameters(parameters: Sequence[Parameter], out: Stream) -> None:
    starred = False
    for at, parameter in enumerate(parameters):
        if at:
            out += (",", LINE)
        if parameter.keyword_only and not starred:
            out += ("*", ",", LINE)
        starred = starred or parameter.keyword_only or parameter.variadic == "*"
        out.append(parameter.variadic + text.name(parameter.name))
        if parameter.annotation is not None:
            out.append(f": {text.annotation(parameter.annotation)}")
        if parameter.default is not None:
            out.append("=" if parameter.annotation is None else " = ")
            _emit(parameter.default, out)


def _class(node: Class, indent: int) -> list[str]:
    stream: Stream = [f"class {text.name(node.name)}"]
    if node.bases:
        _bracket("(", [Name(base) for base in node.bases], ")", stream)
    stream.append(":")
    flat = " " * indent + "".join(stream)
    head = [flat] if width(flat) <= WIDTH else lines(stream, indent)
    doc = text.docstring(node.doc, indent + INDENT)
    return [*_decorators(node.decorators, indent), *head, *_suite(node.body, indent + INDENT, doc, 1)]


def _decorators(decorators: Sequence[Expr], indent: int) -> list[str]:
    return [line for decorator in decorators for line in _line("@", decorator, "", indent)]


def module(node: Module) -> str:
    """The whole file, which ends with one line break."""
    header = [line for words in node.header_comments for line in text.comment(words, 0) or ["#"]]
    head = header + text.docstring(node.doc, 0)
    parts = [head, list(node.imports), _suite(node.body, 0)] if node.body else [head, list(node.imports)]
    result: list[str] = []
    for part in parts:
        if part:
            first_is_definition = part is parts[-1] and node.body and isinstance(node.body[0], Function | Class | Helper)
            result += [""] * (2 if first_is_definition else 1) if result else []
            result += part
    result[:2] = [text.without_coding(line) for line in result[:2]]
    return "\n".join(result) + "\n"
