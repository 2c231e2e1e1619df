"""Types of the values of a config, and what all of its sections share."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from jaxnet.config.float32 import held, held_below_one

Seconds = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Cost = Annotated[float, Field(ge=0)]
# What training holds as float32.
Rate = Annotated[float, Field(gt=0), AfterValidator(held)]
NotNegative = Annotated[float, Field(ge=0), AfterValidator(held)]
Share = Annotated[float, Field(ge=0, le=1), AfterValidator(held)]
PositiveShare = Annotated[float, Field(gt=0, le=1), AfterValidator(held)]
BelowOne = Annotated[float, Field(ge=0, lt=1), AfterValidator(held_below_one)]
Decay = Annotated[float, Field(gt=0, lt=1), AfterValidator(held_below_one)]
Size = Annotated[int, Field(ge=1, le=1_000_000)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
# A YAML list is a Python list; `strict` would ask for a tuple. The items stay strict.
Sizes = Annotated[tuple[Size, ...], Field(strict=False, max_length=1000)]
Word = Annotated[str, Field(min_length=1)]
Words = Annotated[tuple[Word, ...], Field(strict=False)]
Cells = Annotated[tuple[str, ...], Field(strict=False)]


class Section(BaseModel):
    """What all sections share: strict types, no unknown keys, no change after loading."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        validate_default=False,
    )
