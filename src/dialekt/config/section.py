"""What every section of the configuration is."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(gt=0, lt=1)]
PositiveInt = Annotated[int, Field(gt=0)]


class Section(BaseModel):
    """A frozen part of the configuration. `None` means "derive it"; what was derived is recorded in the facts."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
