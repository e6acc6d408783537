"""Methods: ways to make a model forget. Each tunes a copy and leaves the given model as it is.

`taming` and `target_distribution` change how likely a flow finds images. `METHODS` lists, by
name, the ways to unlearn a feature of a generator; a new one is one file of this package or of
another. Methods may import `border`, `foundation`, `errors`, and no metric of the study: a method
is given, as a function, what it must look at while it works.
"""

from forgetting.methods.registry import METHODS, Method
from forgetting.methods.results import Callback, TamingResult, UnlearningResult

__all__ = ["METHODS", "Callback", "Method", "TamingResult", "UnlearningResult"]
