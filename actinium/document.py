"""The base of every document that people write."""

from pydantic import BaseModel, ConfigDict


class Document(BaseModel):
    """Base of every document people write: frozen, and nothing unknown or infinite gets in."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
