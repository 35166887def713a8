"""A small, closed language for functions of z: parsed with an allowlist, never handed to Python.

    expr       = sum [("<" | "<=" | ">" | ">=" | "==" | "!=") sum]
    sum        = term {("+" | "-") term}
    term       = factor {("*" | "/") factor}
    factor     = ("-" | "+") factor | power
    power      = atom ["**" factor]
    atom       = number | name | function "(" expr {"," expr} ")" | "(" expr ")"

A comparison is 1 where it holds, else 0; `where(c, a, b)` is a where c is not 0, else b. A name is `z` or one of the
parameters. What a parsed expression is worth, `value` computes with anybody's numbers.
"""

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

MAX_LENGTH = 500
MAX_DEPTH = 40

VARIABLE = "z"
COMPARISONS = ("<=", ">=", "==", "!=", "<", ">")
FUNCTIONS: Mapping[str, int] = {
    "where": 3,
    "exp": 1,
    "log": 1,
    "sqrt": 1,
    "abs": 1,
    "sin": 1,
    "cos": 1,
    "tanh": 1,
    "sigmoid": 1,
    "relu": 1,
    "softplus": 1,
    "erf": 1,
    "min": 2,
    "max": 2,
    "clip": 3,
}
"""What may be called, and with how many arguments."""

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<symbol>\*\*|<=|>=|==|!=|[-+*/()<>,]))"
)
_PRECEDENCE = {**dict.fromkeys(COMPARISONS, 1), "+": 2, "-": 2, "*": 3, "/": 3, "negative": 4, "**": 5}


class ExpressionError(ValueError):
    """Why a text is no expression, and where: `position` counts characters from 1."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(f"at position {position}: {reason}")
        self.position, self.reason = position, reason


@dataclass(frozen=True)
class Number:
    """A literal, finite and not negative."""

    value: float


@dataclass(frozen=True)
class Name:
    """`z` or a parameter."""

    name: str


@dataclass(frozen=True)
class Call:
    """An operator (`+ - * / **`, `negative`, a comparison) or a function, with its operands."""

    operation: str
    operands: tuple["Expression", ...]


Expression: TypeAlias = Number | Name | Call
T = TypeVar("T")


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    position: int


def parse(text: str, parameters: Collection[str] = ()) -> Expression:
    """The expression that a text means; ExpressionError says where and why it means none.

    It has at most MAX_LENGTH characters, nests at most MAX_DEPTH deep, and uses z and every one of `parameters`.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(MAX_LENGTH + 1, f"{len(text)} characters; at most {MAX_LENGTH} are accepted")
    expression = _Parser(text, parameters).whole()
    used = set(names(expression))
    for name in (VARIABLE, *parameters):
        if name not in used:
            raise ExpressionError(len(text) + 1, f"the expression never uses {name}")
    return expression


def names(expression: Expression) -> Iterator[str]:
    """Every name in it, as often as it stands there."""
    match expression:
        case Name(name):
            yield name
        case Call(_, operands):
            for operand in operands:
                yield from names(operand)


def value(
    expression: Expression,
    known: Mapping[str, T],
    number: Callable[[float], T],
    operations: Mapping[str, Callable[..., T]],
) -> T:
    """What the expression is worth where names mean `known`, and operators and functions are `operations`."""
    match expression:
        case Number(literal):
            return number(literal)
        case Name(name):
            return known[name]
        case Call(operation, operands):
            return operations[operation](*(value(operand, known, number, operations) for operand in operands))


def canonical(expression: Expression) -> str:
    """The one text for this expression: single spaces and no parenthesis that changes nothing."""
    match expression:
        case Number(literal):
            return repr(literal).removesuffix(".0")
        case Name(name):
            return name
        case Call("negative", (operand,)):
            return f"-{_inside(operand, _precedence(operand) >= _PRECEDENCE['negative'])}"
        case Call("**", (base, exponent)):
            bare = _precedence(exponent) >= _PRECEDENCE["negative"]
            return f"{_inside(base, _precedence(base) > _PRECEDENCE['**'])} ** {_inside(exponent, bare)}"
        case Call(operation, (left, right)) if operation in _PRECEDENCE:
            own, comparing = _PRECEDENCE[operation], operation in COMPARISONS
            first = _inside(left, _precedence(left) > own or (_precedence(left) == own and not comparing))
            return f"{first} {operation} {_inside(right, _precedence(right) > own)}"
        case Call(operation, operands):
            return f"{operation}({', '.join(canonical(operand) for operand in operands)})"


def _precedence(expression: Expression) -> int:
    return _PRECEDENCE.get(expression.operation, 6) if isinstance(expression, Call) else 6


def _inside(expression: Expression, bare: bool) -> str:
    text = canonical(expression)
    return text if bare else f"({text})"


def _depth(expression: Expression) -> int:
    return 1 + max(map(_depth, expression.operands)) if isinstance(expression, Call) else 1


class _Parser:
    """Recursive descent over the tokens; `_open` counts what is not yet closed, so that no text exhausts the stack."""

    def __init__(self, text: str, parameters: Collection[str]) -> None:
        self._tokens, self._known = _tokens(text), (VARIABLE, *parameters)
        self._next, self._open = 0, 0

    def whole(self) -> Expression:
        expression = self._comparison()
        if self._token.kind != "end":
            raise ExpressionError(self._token.position, f"{self._token.text!r} is one too many; the expression is over")
        if _depth(expression) > MAX_DEPTH:
            raise ExpressionError(1, f"nested deeper than {MAX_DEPTH}; use fewer parts")
        return expression

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _taken(self, *symbols: str) -> _Token | None:
        """The next token, if it is one of these symbols, which is then behind us."""
        token = self._token
        if token.kind != "symbol" or token.text not in symbols:
            return None
        self._next += 1
        return token

    def _expect(self, symbol: str) -> None:
        if self._taken(symbol) is None:
            found = "it ends" if self._token.kind == "end" else f"there is {self._token.text!r}"
            raise ExpressionError(self._token.position, f"{symbol!r} is missing here; {found}")

    def _comparison(self) -> Expression:
        left = self._sum()
        if operator := self._taken(*COMPARISONS):
            left = Call(operator.text, (left, self._sum()))
            if self._token.text in COMPARISONS:
                raise ExpressionError(self._token.position, "comparisons do not chain; write (a < b) * (b < c)")
        return left

    def _sum(self) -> Expression:
        left = self._term()
        while operator := self._taken("+", "-"):
            left = Call(operator.text, (left, self._term()))
        return left

    def _term(self) -> Expression:
        left = self._factor()
        while operator := self._taken("*", "/"):
            left = Call(operator.text, (left, self._factor()))
        return left

    def _factor(self) -> Expression:
        if self._open >= MAX_DEPTH:
            raise ExpressionError(self._token.position, f"nested deeper than {MAX_DEPTH}; use fewer parts")
        self._open += 1
        sign = self._taken("-", "+")
        expression = self._factor() if sign else self._power()
        self._open -= 1
        return Call("negative", (expression,)) if sign and sign.text == "-" else expression

    def _power(self) -> Expression:
        base = self._atom()
        return Call("**", (base, self._factor())) if self._taken("**") else base

    def _atom(self) -> Expression:
        token = self._token
        if self._taken("("):
            inner = self._comparison()
            self._expect(")")
            return inner
        if token.kind not in ("number", "name"):
            found = "it ends" if token.kind == "end" else f"there is {token.text!r}"
            raise ExpressionError(token.position, f"a number, a name or '(' is missing here; {found}")
        self._next += 1
        if token.kind == "number":
            literal = float(token.text)
            if not math.isfinite(literal):
                raise ExpressionError(token.position, f"{token.text[:20]} is not a finite number")
            return Number(literal)
        if self._token.text == "(":
            return self._call(token)
        if token.text in FUNCTIONS:
            raise ExpressionError(token.position, f"{token.text} is a function; write {token.text}(...)")
        if token.text not in self._known:
            raise ExpressionError(token.position, f"no {token.text[:40]!r} is known; known: {', '.join(self._known)}")
        return Name(token.text)

    def _call(self, token: _Token) -> Expression:
        if token.text not in FUNCTIONS:
            known = ", ".join(FUNCTIONS)
            raise ExpressionError(token.position, f"no function is called {token.text[:40]!r}; known: {known}")
        self._expect("(")
        operands = [self._comparison()]
        while self._taken(","):
            operands.append(self._comparison())
        self._expect(")")
        wanted = FUNCTIONS[token.text]
        if len(operands) != wanted:
            raise ExpressionError(token.position, f"{token.text} takes {wanted} arguments, not {len(operands)}")
        return Call(token.text, tuple(operands))


def _tokens(text: str) -> list[_Token]:
    tokens, end = [], len(text.rstrip())
    at = 0
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None:
            start = at + len(text[at:]) - len(text[at:].lstrip())
            mend = "; write ** for a power" if text[start] == "^" else ""
            raise ExpressionError(start + 1, f"{text[start]!r} is not part of the language{mend}")
        kind = found.lastgroup
        assert kind is not None
        tokens.append(_Token(kind, found[kind], found.start(kind) + 1))
        at = found.end()
    return [*tokens, _Token("end", "", len(text) + 1)]
