"""What the documents of the service have in common: those that people write, and those that they read."""

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

from pydantic import BaseModel, ConfigDict

Answer = TypeVar("Answer")


class Document(BaseModel):
    """Base of every document people write: frozen, and nothing unknown or infinite gets in."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


@dataclass_transform(kw_only_default=True, frozen_default=True)
def described(cls: type[Answer]) -> type[Answer]:
    """A keyword-only dataclass with slots, for answers. The sentence under a field is what `/openapi.json` says of it.

    mypy takes it for frozen and refuses assignments. Python does not: to make a frozen dataclass takes three times as
    long, and a large report has hundreds of thousands of them. Fields that a reader does not know are ignored, so that
    an older client reads what a newer service writes.
    """
    described_by = ConfigDict(use_attribute_docstrings=True, extra="ignore")
    cls.__pydantic_config__ = described_by  # type: ignore[attr-defined]  # where pydantic looks for it
    return dataclass(slots=True, kw_only=True)(cls)
