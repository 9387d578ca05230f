"""Models that are written by hand, and say of a key that they do not know which one was meant."""

from typing import Self

from pydantic import BaseModel, ValidationError, model_validator
from pydantic.functional_validators import ModelWrapValidatorHandler

from detent.definition.shape import with_near_misses
from detent.definition.spelling import spellings_of


class NearMisses(BaseModel):
    """A base of models that forbid other keys; of nested ones too, each for itself."""

    @model_validator(mode="wrap")
    @classmethod
    def _with_near_misses(cls, written: object, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(written)
        except ValidationError as error:
            raise with_near_misses(error, spellings_of(cls)) from None
