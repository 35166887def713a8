"""Names of PyTorch and Keras for what is no level here, and what to write in its place."""

from collections.abc import Mapping

EXPRESSIONS: Mapping[str, str] = {
    "CELU": "where(z > 0, z, exp(z) - 1)",
    "exponential": "exp(z)",
    "Hardshrink": "where(abs(z) > 0.5, z, 0)",
    "Hardsigmoid": "clip(z / 6 + 0.5, 0, 1)",
    "Hardswish": "z * clip(z / 6 + 0.5, 0, 1)",
    "Hardtanh": "clip(z, -1, 1)",
    "LogSigmoid": "-softplus(-z)",
    "Mish": "z * tanh(softplus(z))",
    "ReLU6": "clip(z, 0, 6)",
    "Softshrink": "z - clip(z, -0.5, 0.5)",
    "Softsign": "z / (1 + abs(z))",
    "Tanhshrink": "z - tanh(z)",
}
"""By the name that PyTorch (or else Keras) gives the function, at its defaults there."""

MIXED = ("GLU", "maxout", "Softmax", "Softmin", "LogSoftmax")
"""Those that mix units in ways that no level here does."""

WRITTEN: Mapping[str, str] = {
    **{name: f'write it yourself: {{name: expression, expr: "{text}"}}' for name, text in EXPRESSIONS.items()},
    **dict.fromkeys(MIXED, "it mixes units, and no activation here does that; crelu and modulus take them by pairs"),
}
"""Activations: by name, what to write."""

FIXED = "a fixed range is no level here; lecun, xavier and he take distribution: uniform, and normal takes std"

UNLIKE: Mapping[str, str] = {
    **dict.fromkeys(("uniform", "random_uniform"), FIXED),
    **dict.fromkeys(("trunc_normal", "truncated_normal"), "draws are not truncated here; normal takes std"),
    "variance_scaling": "lecun, xavier and he are its rules for a scale of 1 and 2; they take mode and distribution",
}
"""Initializations, likewise."""
