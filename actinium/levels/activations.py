"""The activations of a study: nonlinearities phi(z) with parameters, equation, derivative and citation.

Some take channels by pairs: they double the channels, or halve them. Channel p belongs to channel p + P, of P pairs.

`formula` is phi in the language of `actinium.levels.expression`, over the parameters' names: what the catalogue draws,
and an oracle of what `workers` computes. Where a parameter's default is null, `drawn_at` says at what value it is
drawn.
"""

from fractions import Fraction

from actinium.definitions import LevelDefinition, Parameter, ParameterFault, ParameterValue, table
from actinium.levels.custom import resolve_written


def _start(doc: str) -> Parameter:
    return Parameter(default=None, low=-100.0, high=100.0, nullable=True, doc=doc)


def _ordered_slopes(parameters: dict[str, ParameterValue]) -> dict[str, ParameterValue]:
    lower, upper = parameters["lower"], parameters["upper"]
    assert isinstance(lower, float) and isinstance(upper, float)
    if lower > upper:
        raise ParameterFault("lower", f"{lower:g} is above upper, which is {upper:g}; give at most that")
    return parameters


WIDTH_POLICY = Parameter(
    default="same_in",
    kind="choice",
    choices=("same_in", "matched_out", "matched_params"),
    doc="what stays as the model's width has it: the linear layers' outputs, the activation's outputs, or as nearly as "
    "may be the number of learned parameters",
)


ACTIVATIONS = table(
    LevelDefinition(
        name="linear",
        aliases=("purelin", "identity"),
        equation="z",
        derivative="1",
        citation="no activation",
        formula="z",
    ),
    LevelDefinition(
        name="sigmoid",
        aliases=("logistic",),
        equation="1 / (1 + exp(-z))",
        derivative="s (1 - s), at most 1/4",
        citation="Hadji & Wildes 2018, section 3.2",
        formula="sigmoid(z)",
    ),
    LevelDefinition(
        name="tanh",
        equation="tanh(z)",
        derivative="1 - tanh(z)^2",
        citation="Hadji & Wildes 2018, section 3.2",
        formula="tanh(z)",
    ),
    LevelDefinition(
        name="relu",
        equation="max(0, z)",
        derivative="1 where z > 0, else 0",
        citation="Nair & Hinton 2010",
        formula="relu(z)",
    ),
    LevelDefinition(
        name="leaky_relu",
        aliases=("lrelu",),
        equation="max(0, z) + a min(0, z)",
        derivative="1 where z > 0, else a",
        citation="Maas et al. 2013",
        parameters={"negative_slope": Parameter(default=0.01, low=0.0, high=1.0, doc="the fixed slope a")},
        formula="where(z > 0, z, negative_slope * z)",
    ),
    LevelDefinition(
        name="prelu",
        equation="max(0, z) + a min(0, z), a learned",
        derivative="1 where z > 0, else a; d/da = z where z <= 0",
        citation="He et al. 2015, eq. 1-4",
        parameters={
            "initial_slope": Parameter(default=0.25, low=-1.0, high=1.0, doc="where the slope a starts"),
            "per": Parameter(
                default="channel", kind="choice", choices=("channel", "layer"), doc="one slope a channel, or a layer"
            ),
        },
        note="the slope is never decayed and has no bounds",
        formula="where(z > 0, z, initial_slope * z)",
    ),
    LevelDefinition(
        name="rrelu",
        equation="z where z > 0, else a z; in training a ~ U(lower, upper) for every element and step, else their mean",
        derivative="1 where z > 0, else a",
        citation="Xu et al. 2015, eq. 4-5",
        parameters={
            "lower": Parameter(default=0.125, low=0.0, high=1.0, doc="smallest slope"),
            "upper": Parameter(default=1.0 / 3.0, low=0.0, high=1.0, doc="largest slope, no less than lower"),
        },
        note="the defaults are 1 / 8 and 1 / 3; cells of a seed share their draws; probes see the mean slope",
        formula="where(z > 0, z, (lower + upper) / 2 * z)",
        resolve=_ordered_slopes,
    ),
    LevelDefinition(
        name="srelu",
        equation="t_r + a_r (z - t_r) where z >= t_r, else z where z > t_l, else t_l + a_l (z - t_l); all four learned",
        derivative="a_r where z >= t_r, else 1 where z > t_l, else a_l",
        citation="Jin et al. 2016; starts as in keras-contrib",
        parameters={
            "left_threshold": Parameter(default=0.0, low=-100.0, high=100.0, doc="where t_l starts"),
            "left_slope": _start("where a_l starts; null: U(0, 1) by channel, 0.2 if frozen at first"),
            "right_threshold": _start("where t_r starts; null: U(0, 5) by channel"),
            "right_slope": Parameter(default=1.0, low=-100.0, high=100.0, doc="where a_r starts"),
            "per": Parameter(
                default="channel", kind="choice", choices=("channel", "layer"), doc="four a channel, or four a layer"
            ),
            "frozen_epochs": Parameter(
                default=0, kind="integer", low=0, high=100_000, doc="epochs in which the four stay at their start"
            ),
            "quantile": Parameter(
                default=0.9, above=0.0, high=1.0, doc="of z in the first batch after them, which becomes t_r"
            ),
        },
        note="never decayed, no bounds; while frozen, with a_r = 1, it is a leaky relu",
        formula="where(z >= right_threshold, right_threshold + right_slope * (z - right_threshold), "
        "where(z > left_threshold, z, left_threshold + left_slope * (z - left_threshold)))",
        drawn_at={"left_slope": 0.5, "right_threshold": 2.5},
    ),
    LevelDefinition(
        name="elu",
        equation="z where z > 0, else alpha (exp(z) - 1)",
        derivative="1 where z > 0, else alpha exp(z)",
        citation="Clevert et al. 2016",
        parameters={"alpha": Parameter(default=1.0, above=0.0, high=10.0, doc="minus the limit at minus infinity")},
        formula="where(z > 0, z, alpha * (exp(z) - 1))",
    ),
    LevelDefinition(
        name="mirrored_relu",
        equation="max(0, -z)",
        derivative="-1 where z < 0, else 0",
        citation="relu with z mirrored",
        formula="relu(-z)",
    ),
    LevelDefinition(
        name="flipped_relu",
        equation="-max(0, z)",
        derivative="-1 where z > 0, else 0",
        citation="relu flipped about the z axis",
        note="its output is never positive, so the off rate does not apply",
        formula="-relu(z)",
    ),
    LevelDefinition(
        name="rotated_relu",
        equation="min(0, z)",
        derivative="1 where z < 0, else 0",
        citation="relu rotated by 180 degrees",
        note="its output is never positive, so the off rate does not apply",
        formula="-relu(-z)",
    ),
    LevelDefinition(
        name="half_wave",
        equation="max(0, z - theta), or z where z > theta and else 0 (mode gate)",
        derivative="1 where z > theta, else 0",
        citation="Movshon et al. 1978; Hadji & Wildes 2018, section 3.2",
        parameters={
            "threshold": Parameter(default=0.0, low=0.0, high=100.0, doc="theta"),
            "mode": Parameter(
                default="subtract",
                kind="choice",
                choices=("subtract", "gate"),
                doc="whether theta is taken off what passes",
            ),
        },
        formula="relu(z - threshold)",
    ),
    LevelDefinition(
        name="half_squaring",
        equation="max(0, z)^2",
        derivative="2 max(0, z), without bound",
        citation="Heeger 1992",
        note="its derivative has no bound, so the saturated rate does not apply",
        formula="relu(z) ** 2",
    ),
    LevelDefinition(
        name="lif",
        equation="1 / (t_ref / t_m + ln((z - V_reset) / (z - V_th))) where z > V_th, else 0",
        derivative="phi^2 (V_th - V_reset) / ((z - V_reset) (z - V_th)) where z > V_th, at most clip; else 0",
        citation="Dayan & Abbott 2001, eq. 5.11",
        parameters={
            "refractory": Parameter(default=2.0, above=0.0, high=1000.0, doc="t_ref in ms"),
            "time_constant": Parameter(default=10.0, above=0.0, high=1000.0, doc="t_m of the membrane in ms"),
            "threshold": Parameter(default=1.0, above=0.0, high=100.0, doc="V_th, from the resting potential"),
            "reset": Parameter(default=0.0, low=-100.0, high=0.0, doc="V_reset, from the resting potential"),
            "clip": Parameter(default=10.0, above=0.0, high=1e6, doc="largest derivative; else infinite at V_th"),
        },
        note="firing rate of a leaky integrate-and-fire neuron times t_m; z is the input current times the resistance",
        formula="where(z > threshold, 1 / (refractory / time_constant + log((z - reset) / (z - threshold))), 0)",
    ),
    LevelDefinition(
        name="abs",
        aliases=("avr",),
        equation="|z|",
        derivative="sign(z)",
        citation="Jarrett et al. 2009 (absolute value rectification)",
        formula="abs(z)",
    ),
    LevelDefinition(
        name="abs_tanh",
        equation="|tanh(z)|",
        derivative="sign(z) (1 - tanh(z)^2)",
        citation="Jarrett et al. 2009",
        formula="abs(tanh(z))",
    ),
    LevelDefinition(
        name="gelu",
        equation="z Phi(z), Phi the normal distribution function",
        derivative="Phi(z) + z exp(-z^2 / 2) / sqrt(2 pi)",
        citation="Hendrycks & Gimpel 2016",
        formula="z * (1 + erf(z / sqrt(2))) / 2",
    ),
    LevelDefinition(
        name="silu",
        aliases=("swish",),
        equation="z s, s = 1 / (1 + exp(-z))",
        derivative="s (1 + z (1 - s))",
        citation="Elfwing et al. 2018",
        formula="z * sigmoid(z)",
    ),
    LevelDefinition(
        name="softplus",
        equation="ln(1 + exp(beta z)) / beta",
        derivative="1 / (1 + exp(-beta z))",
        citation="Dugas et al. 2001",
        parameters={"beta": Parameter(default=1.0, above=0.0, high=100.0, doc="sharpness; relu as it grows")},
        formula="softplus(beta * z) / beta",
    ),
    LevelDefinition(
        name="selu",
        equation="lambda z where z > 0, else lambda alpha (exp(z) - 1)",
        derivative="lambda where z > 0, else lambda alpha exp(z)",
        citation="Klambauer et al. 2017: alpha = 1.6732632423543772, lambda = 1.0507009873554805",
        formula="1.0507009873554805 * where(z > 0, z, 1.6732632423543772 * (exp(z) - 1))",
    ),
    LevelDefinition(
        name="crelu",
        equation="max(0, z), max(0, -z): concatenated, C channels become 2 C",
        derivative="1 where z > 0, else 0; and -1 where z < 0, else 0",
        citation="Shang et al. 2016",
        parameters={"width_policy": WIDTH_POLICY},
        note="keeps all of z: z is the first half less the second",
        formula="relu(z)",
        second_formula="relu(-z)",
        ratio=Fraction(2),
    ),
    LevelDefinition(
        name="two_path_half_wave",
        equation="max(0, z), max(0, -z): concatenated, C channels become 2 C",
        derivative="1 where z > 0, else 0; and -1 where z < 0, else 0",
        citation="Heeger 1991; Hadji & Wildes 2018, section 3.2",
        parameters={"width_policy": WIDTH_POLICY},
        note="the same function as crelu, under its older name",
        formula="relu(z)",
        second_formula="relu(-z)",
        ratio=Fraction(2),
    ),
    LevelDefinition(
        name="two_path_square",
        aliases=("tpr",),
        equation="max(0, z)^2, min(0, z)^2: concatenated, C channels become 2 C",
        derivative="2 max(0, z); and 2 min(0, z); without bound",
        citation="Hadji & Wildes 2017 (SOE-Net)",
        parameters={"width_policy": WIDTH_POLICY},
        note="both halves sum to z^2; the derivative has no bound, so the saturated rate does not apply",
        formula="relu(z) ** 2",
        second_formula="relu(-z) ** 2",
        ratio=Fraction(2),
    ),
    LevelDefinition(
        name="modulus",
        equation="sqrt(a^2 + b^2) of channels p (a) and p + C/2 (b): C channels become C / 2",
        derivative="a / sqrt(a^2 + b^2); and b / sqrt(a^2 + b^2); 0 where both are 0",
        citation="Bruna & Mallat 2013 (scattering networks)",
        parameters={"width_policy": WIDTH_POLICY},
        note="drawn over a, with b = 0.5",
        formula="sqrt(z ** 2 + partner ** 2)",
        ratio=Fraction(1, 2),
        second_moment=2.0,
        drawn_at={"partner": 0.5},
    ),
    LevelDefinition(
        name="expression",
        equation="expr: an expression of z and of its parameters, in a small closed language",
        derivative="that of expr",
        citation="your own",
        parameters={
            "expr": Parameter(default=None, kind="text", doc="such as z * sigmoid(beta * z)"),
            "parameters": Parameter(
                default={},
                kind="mapping",
                doc="by name: {init: a number, learnable: true or false, per: channel or layer}",
            ),
        },
        note="operators + - * / ** < <= > >= == !=; where exp log sqrt abs sin cos tanh sigmoid relu softplus erf "
        "min max clip",
        formula="z * sigmoid(beta * z)",
        drawn_at={"beta": 1.0},
        resolve=resolve_written,
    ),
)
