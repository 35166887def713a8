"""Initializations that train, as a study's designs are checked for them; what they do is in `workers.procedures`."""

from actinium.levels import Initialization
from actinium.models.kind import ModelKind
from actinium.task import Task


def invalid_procedure(
    level: Initialization, *, task: Task, model: ModelKind, paired: bool, batch_size: int
) -> str | None:
    """Why the procedure that a trial begins with cannot be run, or None.

    `paired`: the trial's activation changes the number of channels.
    """
    if level.name == "greedy_autoencoder":
        if reason := model.invalid_greedy():
            return reason
        if paired:
            return "the decoder has the encoder's weights, and the activation gives it another number of channels"
    if level.name == "transfer":
        return unfit_source(level, task, batch_size)
    return None


def unfit_source(level: Initialization, task: Task, batch_size: int) -> str | None:
    """Why no network comes from the level's source to the task, or None."""
    name = str(level.parameters["source"])
    try:
        source = task.as_source(name)
    except ValueError:
        return f"{name} cannot be split and augmented as the task says"
    there, here = source.definition(), task.definition()
    if there.shape != here.shape:
        return f"the inputs of {name} are {there.shape}, those of {task.dataset} {here.shape}"
    last, wanted = ((d.objective, d.classes, d.targets) for d in (there, here))
    if level.parameters["classifier"] == "keep" and last != wanted:
        return f"the last layer of {name} cannot be kept for the outputs of {task.dataset}; give classifier reset"
    if batch_size > source.train_count():
        return f"a batch of {batch_size} is more than the {source.train_count()} training examples of {name}"
    return source.invalid_scaling()
