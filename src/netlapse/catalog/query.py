"""Choosing and ordering rows, without ever running code: `activation == 'relu' and final.loss < 0.1`."""

# simpleeval says nothing of its types.
# pyright: reportMissingTypeStubs=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import ast
import json
import math
import operator
import warnings
from typing import TYPE_CHECKING, Any

from simpleeval import SimpleEval

from ..errors import BadQuery
from .columns import check

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from .columns import Row


def _within(part: Any, whole: Any) -> bool:
    return part in whole


def _round(number: float, digits: int = 0) -> float:
    return round(float(number), digits)  # not of an integer, which may be rounded to any number of digits


# Of numbers only: strings and lists could be made to grow without end.
_ARITHMETIC: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: math.pow,  # of floats, so that no power takes long
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}
_COMPARISONS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: _within,
    ast.NotIn: lambda *operands: not _within(*operands),
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "len": len,
    "max": max,
    "min": min,
    "round": _round,
}
_GRAMMAR = (
    *(ast.Constant, ast.Name, ast.List, ast.Tuple, ast.Subscript, ast.Call, ast.Load),
    *(ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.BinOp, ast.Compare),
    *(*_ARITHMETIC, *_COMPARISONS),
)
_LONGEST = 2_000


class _Lacking(Exception):
    """The run at hand has nothing of the name asked for."""


def matching(rows: Sequence[Row], expression: str, known: Collection[str]) -> list[Row]:
    """The rows for which the expression holds.

    A comparison with what a run lacks does not hold, nor does one that makes no sense for the run's values, such as a
    text with a number.

    Raises BadQuery for what is no expression of the grammar, names that are not `known`, and what makes no sense for
    any run.
    """
    question = _Question(expression, known)
    found = [row for row in rows if question.holds_for(row)]
    if question.problem and not question.answered:
        raise BadQuery(f"{expression!r} makes no sense for any run here: {question.problem}; compare like with like")
    return found


class _Question(SimpleEval):
    """An expression that is asked of row after row. simpleeval walks its tree; names and truth are ours."""

    def __init__(self, expression: str, known: Collection[str]) -> None:
        super().__init__(operators={kind: _of_numbers(way) for kind, way in _ARITHMETIC.items()} | _COMPARISONS)
        self.functions = _FUNCTIONS
        self.nodes: dict[type[ast.AST], Callable[[Any], Any]] = {
            ast.Constant: self._eval_constant,
            ast.Name: self._value,
            ast.List: self._list,
            ast.Tuple: self._list,
            ast.Subscript: self._eval_subscript,
            ast.Call: self._eval_call,
            ast.UnaryOp: self._negation_or_sign,
            ast.BinOp: self._eval_binop,
            ast.BoolOp: self._all_or_any,
            ast.Compare: self._comparison,
        }
        self.problem: Exception | None = None
        self.answered = False  # for any row, without trouble
        self._tree = _parse(expression, known)

    def holds_for(self, row: Row) -> bool:
        """Whether the expression holds for this row."""
        self.names = row
        self._trouble = False
        try:
            holds = self._holds(self._eval, self._tree)
        except RecursionError:
            raise BadQuery("the expression is nested too deeply; write it in fewer levels") from None
        self.answered = self.answered or not self._trouble
        return holds

    def _holds(self, handler: Callable[[Any], Any], node: ast.AST) -> bool:
        try:
            return bool(handler(node))
        except _Lacking:
            self._trouble = True
        except (TypeError, ValueError, ArithmeticError, LookupError) as error:
            self._trouble = True
            self.problem = self.problem or error
        return False

    def _all_or_any(self, node: ast.BoolOp) -> bool:
        way = all if isinstance(node.op, ast.And) else any
        return way(self._holds(self._eval, value) for value in node.values)

    def _comparison(self, node: ast.Compare) -> bool:
        return self._holds(self._eval_compare, node)

    def _negation_or_sign(self, node: ast.UnaryOp) -> Any:
        return not self._holds(self._eval, node.operand) if isinstance(node.op, ast.Not) else self._eval_unaryop(node)

    def _list(self, node: ast.List | ast.Tuple) -> list[Any]:
        return [self._eval(value) for value in node.elts]

    def _value(self, node: ast.Name) -> Any:
        if node.id not in self.names:
            raise _Lacking
        return self.names[node.id]


class _WholeNames(ast.NodeTransformer):
    """Make `optimizer.momentum` and `run["optimizer.momentum"]` one name each: "optimizer" is a setting of its own."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        whole = self.visit(node.value)
        return ast.Name(f"{whole.id}.{node.attr}", node.ctx) if isinstance(whole, ast.Name) else node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        match node:
            case ast.Subscript(ast.Name("run"), ast.Constant(str(name))):
                return ast.Name(name, node.ctx)
            case _:
                return self.generic_visit(node)


def _parse(expression: str, known: Collection[str]) -> ast.AST:
    """The tree of an expression, with dotted names made whole; everything in it is allowed and known."""
    if len(expression) > _LONGEST:
        raise BadQuery(f"the expression is {len(expression)} characters long; write one of at most {_LONGEST}")
    try:
        with warnings.catch_warnings(action="ignore"):  # the parser's, such as of "\d"
            tree: ast.AST = _WholeNames().visit(ast.parse(expression.strip(), mode="eval").body)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        deep = isinstance(error, MemoryError | RecursionError)
        reason = "nested too deeply" if deep else getattr(error, "msg", error)
        raise BadQuery(
            f"{expression!r} cannot be understood ({reason});"
            " write it as in \"activation == 'relu' and final.loss < 0.1\""
        ) from None
    functions: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if not isinstance(node.func, ast.Name) or node.func.id not in _FUNCTIONS or node.keywords:
                raise BadQuery(
                    f"{expression!r} calls something; only {', '.join(_FUNCTIONS)} can be called, by position"
                )
            functions.add(id(node.func))
        elif not isinstance(node, _GRAMMAR):
            raise BadQuery(
                f"{expression!r} holds what is not possible ({type(node).__name__}); there are names, numbers, texts,"
                f" lists, arithmetic, comparisons, in, and, or, not, {', '.join(_FUNCTIONS)}"
            )
        elif isinstance(node, ast.Constant) and not isinstance(node.value, str | int | float | None):
            raise BadQuery(f"{expression!r} holds {node.value!r}; write a number, a text, True, False or None")
    check((node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in functions), known)
    return tree


def _of_numbers(way: Callable[..., Any]) -> Callable[..., Any]:
    def compute(*values: Any) -> Any:
        if not all(isinstance(value, int | float) for value in values):
            raise TypeError("arithmetic is of numbers only")
        return way(*values)

    return compute


def ordered(rows: Sequence[Row], sort: str, known: Collection[str]) -> list[Row]:
    """The rows by a column, numbers before texts; by "-column" from the greatest down. Those without a value come last.

    Raises BadQuery for a column that is not `known`.
    """
    name = sort.removeprefix("-")
    check([name], known)
    there = [row for row in rows if row.get(name) is not None and row[name] == row[name]]  # not NaN
    chosen = {id(row) for row in there}
    lacking = [row for row in rows if id(row) not in chosen]
    return sorted(there, key=lambda row: _order(row[name]), reverse=sort.startswith("-")) + lacking


def _order(value: Any) -> tuple[int, float, str]:
    if isinstance(value, int | float):
        return 0, value, ""
    return 1, 0, value if isinstance(value, str) else json.dumps(value)
