"""Finds draws that no seed fixes, in a file's syntax tree. `repeatable` seeds the generators that everybody shares, for
each test; what is found here draws around that.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

NEED_A_SEED = frozenset(
    {"random.Random", "random.seed"}
    | {f"numpy.random.{name}" for name in ("default_rng", "seed", "RandomState", "SeedSequence")}
    | {f"numpy.random.{name}" for name in ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")}
)
"""Without an argument they take their seed from the machine."""
FROM_THE_MACHINE = frozenset(
    {"os.urandom", "os.getrandom", "random.SystemRandom", "torch.seed", "torch.random.seed", "uuid.uuid1", "uuid.uuid4"}
)
"""Nothing can seed them; and so with all of `secrets`."""
TORCH_DRAWS = frozenset(
    {f"torch.{name}" for name in ("bernoulli", "multinomial", "normal", "poisson", "randperm")}
    | {f"torch.{name}{like}" for name in ("rand", "randint", "randn") for like in ("", "_like")}
)


@dataclass(frozen=True)
class Unseeded:
    """A draw that is refused."""

    line: int
    why: str


def unseeded(source: str) -> list[Unseeded]:
    """Every draw of a module that its tests' seeds do not fix."""
    tree = ast.parse(source)
    names = imported(tree)
    found = list(_found(tree, names, in_function=False))
    return sorted(found, key=lambda one: one.line)


def imported(tree: ast.Module) -> dict[str, str]:
    """What each name that is imported anywhere in the module stands for, in full."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                names[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module is not None and not node.level:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _found(node: ast.AST, names: dict[str, str], *, in_function: bool) -> Iterator[Unseeded]:
    if isinstance(node, ast.Call):
        why = _refused(node, _full_name(node.func, names), in_function=in_function)
        if why is not None:
            yield Unseeded(node.lineno, why)
        if _seeds_a_generator(node, names):
            node = ast.Tuple(elts=[*node.args, *(word.value for word in node.keywords)])  # its generator is seeded
    now, later = _children(node)
    for child in now:
        yield from _found(child, names, in_function=in_function)
    for child in later:
        yield from _found(child, names, in_function=True)


def _children(node: ast.AST) -> tuple[list[ast.AST], list[ast.AST]]:
    """What runs where the node stands, and what runs when it is called. A function's decorators and defaults are of the
    first kind.
    """
    if isinstance(node, Function):
        body: list[ast.AST] = list(node.body) if isinstance(node.body, list) else [node.body]
        return [child for child in ast.iter_child_nodes(node) if child not in body], body
    return list(ast.iter_child_nodes(node)), []


def _full_name(node: ast.expr, names: dict[str, str]) -> str | None:
    """`numpy.random.rand` for `np.random.rand`; None for what is not a name, or of no module."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in names:
        return None
    return ".".join([names[node.id], *reversed(parts)])


def _seeds_a_generator(call: ast.Call, names: dict[str, str]) -> bool:
    """Whether it is `torch.Generator(...).manual_seed(number)`."""
    method = call.func
    return (
        isinstance(method, ast.Attribute)
        and method.attr == "manual_seed"
        and isinstance(method.value, ast.Call)
        and _full_name(method.value.func, names) == "torch.Generator"
    )


def _refused(call: ast.Call, name: str | None, *, in_function: bool) -> str | None:
    """Why a call is refused, if it is."""
    words = {word.arg: word.value for word in call.keywords}
    given = [*call.args, *words.values()]
    if isinstance(words.get("derandomize"), ast.Constant) and words["derandomize"].value is False:
        return "derandomize=False lets Hypothesis draw other examples each time"
    if name is None:
        method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        return "a generator's seed() takes a seed from the machine" if method == "seed" and not given else None
    if name in NEED_A_SEED and (not given or (isinstance(given[0], ast.Constant) and given[0].value is None)):
        return f"{name} without a seed"
    if name in FROM_THE_MACHINE or name.split(".")[0] == "secrets":
        return f"{name} cannot be seeded"
    if name == "torch.Generator":
        return "torch.Generator() without .manual_seed(number)"
    if not in_function and _draws_globally(name, words):
        return f"{name} draws at import, where no test has seeded it"
    return None


def _draws_globally(name: str, words: dict[str | None, ast.expr]) -> bool:
    """Whether it draws from a generator that everybody shares."""
    module, _, function = name.rpartition(".")
    if name in TORCH_DRAWS:
        return "generator" not in words
    return module in ("random", "numpy.random") and function[0].islower() and name not in NEED_A_SEED
