"""What the documents of the service have in common: those that people write, and those that they read."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Annotated, Any, TypeVar, dataclass_transform

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic_core import CoreSchema, core_schema

from actinium.names import canonical_word

Answer = TypeVar("Answer")


class Document(BaseModel):
    """Base of every document people write: frozen, and nothing unknown or infinite gets in."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class OneOf:
    """Annotates a field that holds a document of one of the kinds in `table`; the document's `kind` says which.

    Values are checked, and faults told, as by pydantic's union with the discriminator `kind`, but by the table as it is
    when a document is read: a kind that is entered later is accepted, without a model having to be built anew. Other
    spellings of a kind mean it: `ResNet-20` is resnet20.
    """

    def __init__(self, table: Mapping[str, type[Document]]) -> None:
        self.table = table
        self._built: tuple[tuple[type[Document], ...], TypeAdapter[Any]] | None = None

    def _union(self) -> TypeAdapter[Any]:
        kinds = tuple(self.table.values())
        if self._built is None or self._built[0] != kinds:
            union: Any = reduce(or_, kinds)
            self._built = kinds, TypeAdapter(Annotated[union, Field(discriminator="kind")])
        return self._built[1]

    def _read(self, value: object) -> Any:
        if isinstance(value, Mapping) and "kind" in value:
            value = {**value, "kind": canonical_word(value["kind"], list(self.table))}
        return self._union().validate_python(value)

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate by the table; serialize each document by its own class."""
        as_it_is = core_schema.simple_ser_schema("any")
        return core_schema.no_info_plain_validator_function(self._read, serialization=as_it_is)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """That of the union."""
        return handler(self._union().core_schema)


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
