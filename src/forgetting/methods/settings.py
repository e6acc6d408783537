"""The base of every method's settings."""

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from forgetting.border.options import refuse_bool


class Settings(BaseModel):
    """Settings of a method: frozen, of known names and finite numbers, no bool in their place."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _is_no_bool(cls, value: Any, info: ValidationInfo) -> Any:
        return refuse_bool(cls, value, info)
