"""The language of written activations: what it means, its one canonical text, and everything that it refuses."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actinium.levels.curves import curve, gain
from actinium.levels.expression import FUNCTIONS, Call, Expression, ExpressionError, Name, Number, canonical, parse

Z = np.array([-2.3, -0.7, 0.4, 1.9])

MEANINGS = {
    "1 - 2 - z": 1 - 2 - Z,
    "1 - (2 - z)": 1 - (2 - Z),
    "2 / z / 4": 2 / Z / 4,
    "-z ** 2": -(Z**2),
    "(-z) ** 2": Z**2,
    "z ** -2": Z**-2.0,
    "2 ** 3 ** 2 + 0 * z": 2.0 ** (3**2) + 0 * Z,
    "z * (z > 0.5)": Z * (Z > 0.5),
    "(z < 0) + (z < 1)": (Z < 0) * 1.0 + (Z < 1),
    "where(z >= 0, z, exp(z) - 1)": np.where(Z >= 0, Z, np.expm1(Z)),
    "max(min(z, 1), -1)": np.clip(Z, -1, 1),
    "clip(z, -1, 1)": np.clip(Z, -1, 1),
    "sigmoid(z) + tanh(z)": 1 / (1 + np.exp(-Z)) + np.tanh(Z),
    "softplus(z)": np.log1p(np.exp(Z)),
    "log(abs(z)) + sqrt(z * z)": np.log(np.abs(Z)) + np.abs(Z),
    "sin(z) ** 2 + cos(z) ** 2": np.ones(4),
    "erf(z)": np.array([math.erf(z) for z in Z]),
    "relu(z) + +z": np.maximum(Z, 0) + Z,
    "1e1 * z + .5": 10 * Z + 0.5,
}


@pytest.mark.parametrize("text", MEANINGS)
def test_what_it_means(text: str) -> None:
    values, slopes = curve(parse(text), {}, Z)
    np.testing.assert_allclose(values, MEANINGS[text], rtol=1e-12)
    step = 1e-6
    higher, lower = (curve(parse(text), {}, Z + side * step)[0] for side in (1, -1))
    np.testing.assert_allclose(slopes, (higher - lower) / (2 * step), rtol=1e-6, atol=1e-7)


def test_every_function_has_a_meaning_under_test() -> None:
    assert all(any(f"{name}(" in text for text in MEANINGS) for name in FUNCTIONS)


@pytest.mark.parametrize(
    ("text", "one"),
    [
        ("z*sigmoid( beta*z )", "z * sigmoid(beta * z)"),
        ("((z)) + ((beta * 1.0))", "z + beta * 1"),
        ("(z + beta) + 1", "z + beta + 1"),
        ("z + (beta + 1)", "z + (beta + 1)"),
        ("z ** (beta ** 2)", "z ** beta ** 2"),
        ("(z ** beta) ** 2", "(z ** beta) ** 2"),
        ("-(z + beta)", "-(z + beta)"),
        ("where((z > beta), z, 0)", "where(z > beta, z, 0)"),
        ("(z > beta) > 0", "(z > beta) > 0"),
        ("+z * beta", "z * beta"),
        ("1e-7 * z * beta", "1e-07 * z * beta"),
    ],
)
def test_the_canonical_text(text: str, one: str) -> None:
    assert canonical(parse(text, ["beta"])) == one


def expressions() -> st.SearchStrategy[Expression]:
    leaves = st.one_of(
        st.floats(min_value=0, max_value=1e9, allow_subnormal=False).map(Number), st.just(Name("z")), st.just(Name("a"))
    )

    def grown(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
        binary = st.sampled_from(["+", "-", "*", "/", "**", "<", "==", "max"])
        return st.one_of(
            st.builds(lambda name, a, b: Call(name, (a, b)), binary, inner, inner),
            st.builds(lambda name, a: Call(name, (a,)), st.sampled_from(["negative", "exp", "tanh"]), inner),
            st.builds(lambda a, b, c: Call("where", (a, b, c)), inner, inner, inner),
        )

    both = Call("+", (Name("z"), Name("a")))
    return st.recursive(leaves, grown, max_leaves=12).map(lambda inner: Call("*", (both, inner)))


@settings(deadline=None, max_examples=150)
@given(expressions())
def test_the_canonical_text_means_the_same_expression(expression: Expression) -> None:
    text = canonical(expression)
    assert parse(text, ["a"]) == expression
    assert canonical(parse(text, ["a"])) == text


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("", 1, "it ends"),
        ("z +", 4, "it ends"),
        ("z z", 3, "one too many"),
        ("(z", 3, "')' is missing"),
        ("z)", 2, "one too many"),
        ("z * bta", 5, "known: z, beta"),
        ("exp + z", 1, "write exp(...)"),
        ("eval(z)", 1, "no function is called 'eval'"),
        ("z(1)", 1, "no function is called 'z'"),
        ("__import__", 1, "known: z, beta"),
        ("z.real", 2, "not part of the language"),
        ("z; z", 2, "not part of the language"),
        ("z ^ 2", 3, "write ** for a power"),
        ("'z'", 1, "not part of the language"),
        ("z[0]", 2, "not part of the language"),
        ("lambda z: z", 9, "not part of the language"),
        ("z = 1", 3, "not part of the language"),
        ("max(z)", 1, "takes 2 arguments, not 1"),
        ("where(z, 1)", 1, "takes 3 arguments, not 2"),
        ("exp()", 5, "there is ')'"),
        ("0 < z < 1", 7, "do not chain"),
        ("1e999 * z", 1, "not a finite number"),
        ("beta * 2", 9, "never uses z"),
        ("z * 2", 6, "never uses beta"),
        ("z" + " " * 600, 501, "601 characters"),
        ("(" * 200 + "z" + ")" * 200, 41, "nested deeper than 40"),
        ("-" * 400 + "z", 41, "nested deeper than 40"),
        ("z ** " * 90 + "z", 201, "nested deeper than 40"),
        ("z + " * 100 + "z", 1, "nested deeper than 40"),
        ("z * \u03b2", 5, "not part of the language"),
        ("z\x00", 2, "not part of the language"),
    ],
)
def test_what_it_refuses(text: str, position: int, reason: str) -> None:
    with pytest.raises(ExpressionError) as raised:
        parse(text, ["beta"])
    assert reason in raised.value.reason
    assert raised.value.position == position
    assert str(raised.value).startswith(f"at position {position}: ")


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet="z01.eE+-*/()<>=!, axpwhr\t\n_", max_size=60))
def test_any_text_is_an_expression_or_an_error(text: str) -> None:
    try:
        expression = parse(text)
    except ExpressionError as error:
        assert 1 <= error.position <= len(text) + 1
    else:
        assert canonical(parse(canonical(expression))) == canonical(expression)


def test_gains() -> None:
    assert gain(parse("relu(z)"), {}) == pytest.approx(math.sqrt(2), abs=1e-5)
    assert gain(parse("a * z", ["a"]), {"a": 4.0}) == pytest.approx(0.25, abs=1e-9)
    assert gain(parse("0 * z"), {}) is None
    assert gain(parse("log(z)"), {}) is None
