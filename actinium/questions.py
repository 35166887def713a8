"""What a study asks: one metric, and which of its cells are compared."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, field_validator, model_validator

from actinium.document import Document
from actinium.errors import FieldError, InvalidInput
from actinium.explain import faults_error
from actinium.levels import compact_label, did_you_mean
from actinium.measurements import MEASUREMENTS, metric, quantity_of
from actinium.paths import Cell, FactorValue, Matcher, cell_key, level_faults, path_faults, value_at
from actinium.reference_cells import Pair, References
from actinium.trial import Probes, TrialConfig

EPOCHS_TO_TARGET = "epochs_to_target"
OF_A_REPORT = (EPOCHS_TO_TARGET, "aulc")
"""What reports compute of a single trial; the other metrics of the report's family are of several."""

Levels: TypeAlias = Annotated[dict[str, FactorValue | list[FactorValue]], Field(min_length=1, max_length=20)]


class Question(Document):
    """One thing that a study asks. All of a study's questions make the family that Holm's correction is over.

    `contrast` is `reference`: every cell is compared with its reference cell. Or it names what is compared, factor by
    factor: two levels `[elu, relu]` mean elu less relu, and one level says where: `{activation: [elu, relu],
    training.batch_size: 2}`. Factors that it does not name are averaged within each seed.
    """

    metric: str = Field(min_length=1, max_length=200)
    contrast: Literal["reference"] | Levels

    @field_validator("contrast", mode="before")
    @classmethod
    def _reference_or_levels(cls, value: object) -> object:
        if value == "reference" or (isinstance(value, Mapping) and value):
            return value
        said = "nothing" if value in (None, "", {}) else repr(value)[:80]
        raise ValueError(f"got {said}; give reference, or two levels of a factor such as {{activation: [elu, relu]}}")

    @model_validator(mode="after")
    def _compares_two(self) -> "Question":
        if self.contrast == "reference":
            return self
        faults = []
        two = {path: levels for path, levels in self.contrast.items() if isinstance(levels, list)}
        if not two:
            mend = "give one factor two levels, such as {activation: [elu, relu]}"
            faults.append(FieldError("contrast", f"compares nothing; {mend}"))
        for path, levels in two.items():
            if len(levels) != 2:
                mend = "give two, the second is subtracted from the first"
                faults.append(FieldError(f"contrast.{path}", f"{len(levels)} levels; {mend}"))
            elif cell_key(levels[0]) == cell_key(levels[1]):
                faults.append(FieldError(f"contrast.{path}", f"{compact_label(levels[0])} twice; name two levels"))
        if faults:
            raise faults_error(faults)
        return self

    def sides(self) -> tuple[Cell, Cell]:
        """The levels that are compared, and those that they are compared with."""
        assert isinstance(self.contrast, Mapping)
        first = {path: levels[0] if isinstance(levels, list) else levels for path, levels in self.contrast.items()}
        second = {path: levels[1] if isinstance(levels, list) else levels for path, levels in self.contrast.items()}
        return first, second


def asked_pairs(
    question: Question, cells: Sequence[tuple[Cell, TrialConfig]], compared: References
) -> list[list[Pair]]:
    """The tests of a question, each as the pairs of cells, by position, that it averages over."""
    if question.contrast == "reference":
        return [[pair] for pair in compared.pairs]
    return [_settings(question, cells)]


def _settings(question: Question, cells: Sequence[tuple[Cell, TrialConfig]]) -> list[Pair]:
    """One pair for each setting of the factors that the question does not name at which both sides are run.

    Raises InvalidInput where a side matches two cells of one setting.
    """
    assert isinstance(question.contrast, Mapping)
    named = [path for path, levels in question.contrast.items() if isinstance(levels, list)]
    varied = dict.fromkeys(path for levels, _ in cells for path in levels)
    rest = [path for path in varied if not any(path == own or path.startswith(own + ".") for own in named)]
    found: list[dict[str, int]] = []
    for side in question.sides():
        settings: dict[str, int] = {}
        is_side = Matcher(side)
        for position, (_, config) in enumerate(cells):
            if is_side(config):
                setting = repr([value_at(config, path) for path in rest])
                if setting in settings:
                    what = ", ".join(compact_label(side[path]) for path in named)
                    fault = f"{what} matches several cells; give the level with its parameters"
                    raise InvalidInput("a side of the contrast is several cells", [FieldError("contrast", fault)])
                settings[setting] = position
        found.append(settings)
    first, second = found
    return [(position, second[setting]) for setting, position in first.items() if setting in second]


def question_faults(
    questions: Sequence[Question],
    cells: Sequence[tuple[Cell, TrialConfig]],
    base: dict[str, Any],
    probes: Probes,
    compared: References,
) -> list[FieldError]:
    """What is wrong with a study's questions, each fault at its path. `base`: the document that factors vary."""
    faults: list[FieldError] = []
    asked: set[str] = set()
    for number, question in enumerate(questions):
        where = f"questions.{number}"
        faults += _metric_faults(f"{where}.metric", question.metric, probes)
        word = cell_key(question.model_dump(mode="json"))
        if word in asked:
            faults.append(FieldError(where, "is asked twice; ask it once"))
        asked.add(word)
        if question.contrast == "reference":
            if not compared.pairs:
                fault = "no cell has a reference cell to be compared with; name two levels, or give `reference` levels"
                faults.append(FieldError(f"{where}.contrast", fault))
            continue
        faults += _contrast_faults(f"{where}.contrast", question, cells, base)
    return faults


def _metric_faults(where: str, name: str, probes: Probes) -> list[FieldError]:
    entry = metric(name)
    known = [
        f"{each}_{one.usual}" if one.usual else each
        for each, one in MEASUREMENTS.items()
        if not one.frames_only and one.by_network and (one.family != "report" or each in OF_A_REPORT)
    ]
    if name == "steps_to_target":
        mend = f"ask {EPOCHS_TO_TARGET}: where nothing but the unit differs the ratio is the same"
        return [FieldError(where, f"steps of different batch sizes are different amounts of data; {mend}")]
    if entry is None or entry.frames_only or (entry.family == "report" and name not in OF_A_REPORT):
        return [FieldError(where, f"{name!r} is no metric of a trial; {did_you_mean(name, known)}")]
    if getattr(probes, entry.family, probes) is None:
        return [
            FieldError(where, f"{name} is measured with probes.{entry.family}; give `probes: {{{entry.family}: {{}}}}`")
        ]
    if quantity_of(name) == name and entry.parameter:
        return [FieldError(where, f"{name} needs its {entry.parameter}, such as {name}_{entry.usual or '0'}")]
    return []


def _contrast_faults(
    where: str, question: Question, cells: Sequence[tuple[Cell, TrialConfig]], base: dict[str, Any]
) -> list[FieldError]:
    assert isinstance(question.contrast, Mapping)
    faults = [
        fault
        for path, levels in question.contrast.items()
        for fault in path_faults(where, path, base) or level_faults(where, path, levels)
    ]
    if faults:
        return faults
    for path, levels in question.contrast.items():
        for level in levels if isinstance(levels, list) else [levels]:
            has_level = Matcher({path: level})
            if not any(has_level(config) for _, config in cells):
                run = sorted({compact_label(_compact(value_at(config, path))) for _, config in cells})
                mend = did_you_mean(compact_label(level), run)
                faults.append(FieldError(f"{where}.{path}", f"no cell of the study has {compact_label(level)}; {mend}"))
    if faults:
        return faults
    try:
        pairs = _settings(question, cells)
    except InvalidInput as error:
        return [FieldError(where, fault.message) for fault in error.errors]
    if not pairs:
        faults.append(FieldError(where, "at no setting of the other factors are both sides run; name levels that are"))
    return faults


def _compact(value: object) -> FactorValue:
    compact = getattr(value, "compact", None)
    found: FactorValue = compact() if compact is not None else value  # type: ignore[assignment]
    return found
