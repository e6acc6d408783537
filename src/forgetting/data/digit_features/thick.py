"""Thick digits: the mean stroke is wide."""

from forgetting.data.digit_features import FEATURES, DigitFeature
from forgetting.data.morphology import thickness

FEATURES.register("thick")(
    DigitFeature(
        quantity="thickness",
        measure=thickness,
        sign=1,
        unit="stroke thickness, pixels",
        description="The strokes are thick.",
    )
)
