"""Digits that lean left: their slant, positive to the right, is far below zero."""

from forgetting.data.digit_features import FEATURES, DigitFeature
from forgetting.data.morphology import slant

FEATURES.register("left_slant")(
    DigitFeature(
        quantity="slant",
        measure=slant,
        sign=-1,
        unit="slant to the left, radians",
        description="The digit leans to the left, like '\\'.",
    )
)
