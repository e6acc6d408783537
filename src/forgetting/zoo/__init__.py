"""The zoo: trained weights by name, and the recipes that make them.

`store` finds, verifies and writes entries, `release` fetches published ones, `references` reads
statistics of real images. `recipes` registers how each entry is made; `train` makes it, through
the loop of `training`. The zoo imports metrics, models and data, and nothing above them.
"""

from forgetting.zoo.store import list_models, load

__all__ = ["list_models", "load"]
