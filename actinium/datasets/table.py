"""The datasets that a study can name, as the house sees them before any file is read. One visible table.

A dataset of somebody's own is not in the table: the service knows it by name, and writes what it knows of it into the
task as a `StoredDataset`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator

from actinium.definitions import Parameter, ParameterValue
from actinium.objectives import ObjectiveName

Shape: TypeAlias = tuple[int, int, int]
"""(channels, height, width) of an example; a vector of D features is (D, 1, 1)."""


@dataclass(frozen=True, kw_only=True)
class DatasetDefinition:
    """What is to be known of a dataset.

    The last `official_test` of `examples` are the fixed test part, and the `official_validation` before them the fixed
    validation part; where that is 0, each split draws its own.
    `scaling`: what shares one mean and one deviation when inputs are z-scored, a single input or a whole channel.
    `full_range`: the greatest value that an input can have, where the format fixes it; the least is then 0.
    A generated one has an equation and parameters, and its examples are drawn anew for each seed that draws a split;
    its parameters `examples`, `classes`, `dimensions`, `size`, `length` (the height), `test_length` and `tolerance` say
    what they name. `test_height`: of test examples, where it is not that of the others.
    `objective`: with `regression` an example has `targets` numbers, with `reconstruction` an image of `shape`; both
    have no `classes`. `tolerance`: how far from its target an output may be and count as right; None: the error is the
    share of variance unexplained.
    """

    name: str
    shape: Shape
    classes: int
    examples: int
    official_test: int
    citation: str
    official_validation: int = 0
    scaling: Literal["input", "channel"] = "channel"
    full_range: float | None = None
    equation: str = ""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    objective: ObjectiveName = "classification"
    targets: int = 0
    test_height: int | None = None
    tolerance: float | None = None

    def generated(self) -> bool:
        """Whether its examples are drawn, and not read."""
        return bool(self.parameters)

    def of(self, parameters: Mapping[str, ParameterValue]) -> "DatasetDefinition":
        """The definition with these parameters' sizes."""
        named = ("examples", "classes", "tolerance")
        changes: dict[str, Any] = {key: parameters[key] for key in named if key in parameters}
        if "dimensions" in parameters:
            changes["shape"] = (parameters["dimensions"], 1, 1)
        if "size" in parameters:
            changes["shape"] = (1, parameters["size"], parameters["size"])
        if "length" in parameters:
            changes["shape"] = (self.shape[0], parameters["length"], self.shape[2])
            tested = parameters.get("test_length")
            changes["test_height"] = None if tested == parameters["length"] else tested
        return replace(self, **changes) if changes else self


EXAMPLES = Parameter(default=1000, kind="integer", low=20, high=20_000, doc="how many are drawn, all parts together")
SIZE = Parameter(default=8, kind="integer", low=4, high=32, doc="height and width of an image")


def _classes(default: int, doc: str) -> Parameter:
    return Parameter(default=default, kind="integer", low=2, high=16, doc=doc)


def _noise(default: float, doc: str) -> Parameter:
    return Parameter(default=default, low=0.0, high=10.0, doc=doc)


DATASETS: dict[str, DatasetDefinition] = {
    d.name: d
    for d in (
        DatasetDefinition(
            name="digits",
            shape=(1, 8, 8),
            classes=10,
            examples=1797,
            official_test=0,
            citation="Alpaydin & Kaynak 1998, UCI optical recognition of handwritten digits (test part)",
            scaling="input",
            full_range=16.0,
        ),
        DatasetDefinition(
            name="digits_0_4",
            shape=(1, 8, 8),
            classes=5,
            examples=901,
            official_test=0,
            citation="the digits 0 to 4 of `digits`",
            scaling="input",
            full_range=16.0,
        ),
        DatasetDefinition(
            name="digits_5_9",
            shape=(1, 8, 8),
            classes=5,
            examples=896,
            official_test=0,
            citation="the digits 5 to 9 of `digits`, as the classes 0 to 4",
            scaling="input",
            full_range=16.0,
        ),
        DatasetDefinition(
            name="sequential_digits",
            shape=(1, 64, 1),
            classes=10,
            examples=1797,
            official_test=0,
            citation="`digits` pixel by pixel, as Le et al. 2015 read MNIST",
            full_range=16.0,
        ),
        DatasetDefinition(
            name="permuted_digits",
            shape=(1, 64, 1),
            classes=10,
            examples=1797,
            official_test=0,
            citation="`digits` pixel by pixel in one random order, as Le et al. 2015 read MNIST",
            full_range=16.0,
        ),
        DatasetDefinition(
            name="mnist",
            shape=(1, 28, 28),
            classes=10,
            examples=70_000,
            official_test=10_000,
            citation="LeCun 1998",
            full_range=255.0,
        ),
        DatasetDefinition(
            name="fashion_mnist",
            shape=(1, 28, 28),
            classes=10,
            examples=70_000,
            official_test=10_000,
            citation="Xiao et al. 2017",
            full_range=255.0,
        ),
        DatasetDefinition(
            name="cifar10",
            shape=(3, 32, 32),
            classes=10,
            examples=60_000,
            official_test=10_000,
            citation="Krizhevsky 2009",
            full_range=255.0,
        ),
        DatasetDefinition(
            name="two_spirals",
            shape=(2, 1, 1),
            classes=2,
            examples=1000,
            official_test=0,
            equation="x = t (cos a, sin a) + noise n, a = 2 pi turns t + pi y, t ~ U(0, 1), n ~ N(0, I)",
            citation="after Lang & Witbrock 1988",
            parameters={
                "examples": EXAMPLES,
                "turns": Parameter(default=1.5, above=0.0, high=10.0, doc="how often a spiral goes round"),
                "noise": _noise(0.02, "standard deviation, where a spiral's radius is 1"),
            },
        ),
        DatasetDefinition(
            name="xor",
            shape=(2, 1, 1),
            classes=2,
            examples=1000,
            official_test=0,
            equation="x = (s, s') + noise n, s and s' = +-1, y = 1 where s s' < 0; "
            "the best error is 2 p (1 - p), p = Phi(-1 / noise)",
            citation="after Minsky & Papert 1969",
            parameters={"examples": EXAMPLES, "noise": _noise(0.3, "standard deviation of a cluster")},
        ),
        DatasetDefinition(
            name="gaussian_blobs",
            shape=(10, 1, 1),
            classes=2,
            examples=1000,
            official_test=0,
            equation="x = separation y e_1 + n, n ~ N(0, I); the best error is 2 (K - 1) / K Phi(-separation / 2)",
            citation="Fisher 1936 (equal covariances: a linear rule is the best)",
            parameters={
                "examples": EXAMPLES,
                "classes": _classes(2, "K, in a row along the first axis"),
                "dimensions": Parameter(
                    default=10, kind="integer", low=1, high=1024, doc="features; all but one say nothing"
                ),
                "separation": Parameter(
                    default=2.0, low=0.0, high=100.0, doc="between neighbouring means, in deviations"
                ),
            },
        ),
        DatasetDefinition(
            name="adding_task",
            shape=(2, 20, 1),
            classes=0,
            examples=5000,
            official_test=0,
            equation="x_s = (v_s, m_s) at step s, v ~ U(0, 1), m = 1 at one step of each half and 0 elsewhere; "
            "t = sum_s v_s m_s; the best constant's squared error is 1/6",
            citation="Hochreiter & Schmidhuber 1997, section 5.4; solved within 0.04 of t; for RNNs Le et al. 2015",
            parameters={
                "examples": Parameter(
                    default=5000, kind="integer", low=20, high=50_000, doc="how many are drawn, all parts together"
                ),
                "length": Parameter(default=20, kind="integer", low=2, high=500, doc="time steps"),
                "test_length": Parameter(
                    default=None,
                    kind="integer",
                    low=2,
                    high=1000,
                    nullable=True,
                    doc="time steps of test examples, for recurrent networks; null: as many",
                ),
                "tolerance": Parameter(
                    default=0.04, above=0.0, high=1.0, doc="an output at most this far from t has solved its example"
                ),
            },
            objective="regression",
            targets=1,
            tolerance=0.04,
        ),
        DatasetDefinition(
            name="contrast_level",
            shape=(1, 8, 8),
            classes=4,
            examples=1000,
            official_test=0,
            equation="x = c w, c = (y + 1) / K; w white noise, mean 0 and deviation 1 in each image",
            citation="the contrast that instance normalization takes away: Ulyanov et al. 2016",
            parameters={"examples": EXAMPLES, "classes": _classes(4, "K, levels of contrast"), "size": SIZE},
        ),
        DatasetDefinition(
            name="brightness_level",
            shape=(1, 8, 8),
            classes=4,
            examples=1000,
            official_test=0,
            equation="x = y / (K - 1) + noise w; w white noise, mean 0 and deviation 1 in each image",
            citation="the absolute intensity that normalization may lose: Lim et al. 2017",
            parameters={
                "examples": EXAMPLES,
                "classes": _classes(4, "K, levels of brightness"),
                "size": SIZE,
                "noise": _noise(0.5, "standard deviation around an image's brightness"),
            },
        ),
        DatasetDefinition(
            name="phase_textures",
            shape=(1, 8, 8),
            classes=2,
            examples=1000,
            official_test=0,
            equation="x = cos(a + p) + cos(2 a + p) / 2 + noise n, p = 2 pi y / K, "
            "a = 2 pi frequency (u cos o + v sin o) + s; orientation o ~ U(0, pi), shift s ~ U(0, 2 pi)",
            citation="phase congruency: Morrone & Owens 1987; what is kept of it: Hadji & Wildes 2017",
            parameters={
                "examples": EXAMPLES,
                "classes": _classes(2, "K, phases; with 2 bright lines or dark lines, of equal energy"),
                "size": SIZE,
                "frequency": Parameter(default=1.5, above=0.0, high=32.0, doc="lines an image"),
                "noise": _noise(0.1, "standard deviation of a pixel"),
            },
        ),
        DatasetDefinition(
            name="brightness_denoising",
            shape=(1, 8, 8),
            classes=0,
            examples=1000,
            official_test=0,
            full_range=1.0,
            equation="x = t + noise n, t = b + c cos(a), b ~ U(1/4, 3/4), c ~ U(0, 1/4), n ~ N(0, I), "
            "a = 2 pi frequency (u cos o + v sin o) + s; orientation o ~ U(0, pi), shift s ~ U(0, 2 pi); "
            "x itself has a PSNR of -20 log10(noise) and leaves 32 noise^2 of the variance",
            citation="absolute intensities that an image must keep: Lim et al. 2017; the noise: Zhang et al. 2017",
            parameters={
                "examples": EXAMPLES,
                "size": SIZE,
                "frequency": Parameter(default=1.0, above=0.0, high=32.0, doc="lines an image"),
                "noise": _noise(0.1, "standard deviation of a pixel"),
            },
            objective="reconstruction",
        ),
        DatasetDefinition(
            name="regression_1d",
            shape=(1, 1, 1),
            classes=0,
            examples=1000,
            official_test=0,
            equation="t = f(x) + noise n, x ~ U(-1, 1), n ~ N(0, 1); f(x): sine sin(2 pi x), step sign(x), abs |x|, "
            "linear x; the best error is noise^2 / (Var f + noise^2), Var f = 1/2, 1, 1/12, 1/3",
            citation="what one hidden layer can approximate: Cybenko 1989",
            parameters={
                "examples": EXAMPLES,
                "function": Parameter(
                    default="sine", kind="choice", choices=("sine", "step", "abs", "linear"), doc="f, of one input"
                ),
                "noise": _noise(0.1, "standard deviation of a target"),
            },
            objective="regression",
            targets=1,
        ),
    )
}

LONGEST_NAME = 80
SHA256_HEX = r"^[0-9a-f]{64}$"
Size = Annotated[int, Field(ge=1, le=2**31 - 1)]
OwnPart = Annotated[int, Field(ge=0, le=2**31 - 1, exclude_if=lambda count: count == 0)]
"""Left out of documents where there is none: those of datasets without a split of their own stay as they were."""


class StoredDataset(BaseModel):
    """A dataset of somebody's own: the SHA-256 of its arrays (`actinium.datasets.file`), and what they hold.

    The service fills it in for a name that it knows; it is part of a trial's config, so that an old study still says
    on which numbers it was trained.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str = Field(pattern=SHA256_HEX)
    shape: tuple[Size, Size, Size]
    classes: int = Field(ge=0)
    """0 where one number is to be predicted."""
    examples: Size
    official_validation: OwnPart = 0
    official_test: OwnPart = 0
    """How many examples are the validation and the test part of a split of the dataset's own, as in a definition."""

    @field_validator("classes")
    @classmethod
    def _several(cls, value: int) -> int:
        if value == 1:
            raise ValueError("one class leaves nothing to learn; give at least 2, or 0 for a number to predict")
        return value

    def definition(self, name: str) -> DatasetDefinition:
        """The same as an entry of the table."""
        return DatasetDefinition(
            name=name,
            shape=self.shape,
            classes=self.classes,
            examples=self.examples,
            official_validation=self.official_validation,
            official_test=self.official_test,
            citation=f"arrays of SHA-256 {self.sha256}",
            objective="classification" if self.classes else "regression",
            targets=0 if self.classes else 1,
        )
