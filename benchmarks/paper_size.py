"""The paper's size, counted without a GPU: the operations and the memory of a training step.

    make bench        or        python benchmarks/paper_size.py

The recipe `faces-glow-128` takes a step on tensors that have shapes and no values, so that a few
minutes on one core are enough. Its activations are kept, and then recomputed. Memory is that of
all tensors that live at once; what a GPU's libraries take comes on top. Writes
`results/bench/paper-size.json`.
"""

import contextlib
import copy
import json
import weakref
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from forgetting.foundation.files import ROOT, write_text
from forgetting.zoo.learner import Averaged, Learner
from forgetting.zoo.recipes import RECIPES, Recipe, learners

OUTPUT = ROOT / "results" / "bench" / "paper-size.json"

NAME = "faces-glow-128"

SECONDS_OF_THE_PAPER = 1.93
"""A step of the authors' training, on a GPU that they do not name."""

GPU = {"name": "Nvidia A100", "teraflops": 312.0}
"""A GPU and its peak in bfloat16, of dense matrices, by its data sheet."""


class _WithoutValues(TorchDispatchMode):
    """Lets checks of values pass, such as of a range, on tensors that have none."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            return 0.0
        return func(*args, **(kwargs or {}))


class _Living(TorchDispatchMode):
    """Counts the bytes of all tensors that are made within and still live."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.peak = 0, 0
        self._living: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        results = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(results):
            if isinstance(tensor, torch.Tensor):
                self._add(tensor.untyped_storage())
        return results

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self._living:
            self._living.add(key)
            self.now += size
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._drop, key, size)

    def _drop(self, key: int, size: int) -> None:
        self._living.discard(key)
        self.now -= size


@contextlib.contextmanager
def _without_values(learner: Learner) -> Iterator[nn.Module]:
    """Give a copy of a learner's model without values; no tensor made within has any."""
    mode = FakeTensorMode()
    with FakeCopyMode(mode):
        model = copy.deepcopy(learner.model)
    with mode, _WithoutValues():
        yield model


def loss_of_a_batch(learner: Learner, model: nn.Module, batch_size: int) -> torch.Tensor:
    """Return the loss of a batch, as a training on a GPU computes it."""
    (loss,) = learner.parts().values()
    assert isinstance(model, Averaged)
    images = torch.zeros(batch_size, *model.get_submodule("model").image_shape)
    with torch.autocast("cpu", torch.bfloat16):  # also on a processor without bfloat16
        return loss(model, images, torch.zeros(batch_size), torch.Generator())["loss"]


def count(learner: Learner, batch_size: int) -> dict[str, int]:
    """Count what a training step takes.

    Returns
    -------
    dict of str to int
        Floating-point operations (a multiply-add is two), bytes of `activations` that wait for the
        backward pass, and bytes at the `peak` beyond the weights, their average and the moments.
    """
    with _without_values(learner) as model, FlopCounterMode(display=False) as counter:
        loss_of_a_batch(learner, model, batch_size).backward()
    with _without_values(learner) as model, _Living() as living:
        loss = loss_of_a_batch(learner, model, batch_size)
        activations = living.now
        loss.backward()
    flops, peak = counter.get_total_flops(), living.peak
    return {"operations": flops, "activations": activations, "peak": peak}


def measured(recipe: Recipe) -> dict[str, Any]:
    """Return the counts of a recipe, with the settings that they are of."""
    plain, recomputed = learners.averaged_glow(recipe), recipe.learner(recipe)
    training = recipe.training
    weights = list(plain.model.parameters())
    learning = [weight for weight in weights if weight.requires_grad]
    n_moments = 2
    return {
        "config": recipe.config.model_dump(mode="json"),
        "steps": training.steps,
        "batch_size": training.batch_size,
        "parameters": sum(weight.numel() for weight in learning),
        "state": sum(w.nbytes for w in weights) + n_moments * sum(w.nbytes for w in learning),
        "rows": {
            "kept": count(plain, training.batch_size),
            "recomputed": count(recomputed, training.batch_size),
        },
    }


def main() -> None:
    """Count, print, and write the JSON."""
    recipe = RECIPES[NAME]
    assert isinstance(recipe, Recipe)
    result = measured(recipe) | {
        "gpu": GPU,
        "seconds_of_the_paper": SECONDS_OF_THE_PAPER,
        "torch": torch.__version__,
    }
    text = json.dumps(result, indent=1) + "\n"
    write_text(OUTPUT, text)
    print(text, f"written to {OUTPUT}", sep="")


if __name__ == "__main__":
    main()
