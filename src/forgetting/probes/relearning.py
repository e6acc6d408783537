"""Relearning: how few steps on a few images bring a feature back?"""

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import nn

from forgetting.border.checks import check_images, check_latent_dim
from forgetting.border.conditions import own_conditions
from forgetting.border.copies import device_of, free_weights, frozen_copy, tunable_copy
from forgetting.border.failures import failing_in_a_sentence
from forgetting.border.options import check_counts, check_rate
from forgetting.border.preflight import check_generator
from forgetting.border.sampling import check_same_shape
from forgetting.border.undisturbed import undisturbed
from forgetting.errors import DataError, ParameterError, TrainingError
from forgetting.foundation.progress import tracked

T = TypeVar("T")


def relearn(
    generator: nn.Module,
    images: torch.Tensor,
    latents: torch.Tensor,
    steps: Iterable[int],
    evaluate: Callable[[nn.Module], T],
    *,
    trainable: Callable[[nn.Module], nn.Module] | None = None,
    lr: float = 1e-3,
) -> dict[int, T]:
    """Tune a copy of a generator on a few images with the feature, and evaluate it on the way.

    Adam minimises the L1 distance to all of the images at every step: a sum over pixels, a mean
    over images. A feature that is only hidden comes back in a few steps.

    Parameters
    ----------
    generator : nn.Module
        The model that forgot; it is not changed.
    images : Tensor, (K, C, H, W)
        Images with the feature.
    latents : Tensor, (K, latent_dim)
        The latents whose images are nearest to these, by `inversion_attack`.
    steps : iterable of int
        Numbers of steps after which the copy is evaluated; 0 is before the first step.
    evaluate : callable
        Maps the model to any result, such as the prevalence among fresh samples.
    trainable : callable, optional
        Maps the copy to the part of it that is tuned; without it all is tuned. Weights that are
        frozen in the generator are tuned, too: models differ in that by how they were made.
    lr : float
        Learning rate of Adam.

    Returns
    -------
    dict
        The result of `evaluate` for each number of steps; where that is the model itself, a copy.

    Raises
    ------
    DataError
        The images are no floats in [0, 1], not of the shape of the generator's, or there is not
        one latent for each.
    ModelError
        The generator does not pass the preflight.
    ParameterError
        There is no number of steps, or one is no whole number of at least 0, or the learning rate
        is not above 0.
    TrainingError
        The loss is not finite, or the tuned copy raises an error of its own.
    """
    checkpoints = sorted(set(steps))
    for n_steps in checkpoints:
        check_counts(steps=n_steps, least=0)
    if not checkpoints:
        raise ParameterError("steps: give at least one number of steps, such as 0.")
    images = check_images(images, "The images to relearn")
    if latents.shape != (len(images), check_latent_dim(generator)):
        raise DataError(
            f"There are {len(images)} images and latents {tuple(latents.shape)}: give one latent "
            f"of {check_latent_dim(generator)} values for each image."
        )
    check_rate(lr=lr)
    check_generator(generator, trainable, is_tuned=True)
    check_same_shape(generator, images, "The images to relearn")
    with own_conditions():
        model = tunable_copy(frozen_copy(generator), trainable)  # of which no weight is spared
        weights = free_weights(model)
        optimizer = torch.optim.Adam(weights, lr)
        device = device_of(model)
        targets, z = images.to(device), latents.detach().float().clone().to(device)
        results = {}
        for step in tracked(range(checkpoints[-1] + 1), "relearning"):
            if step in checkpoints:
                with undisturbed(model), own_conditions(step):
                    result = evaluate(model)
                    results[step] = frozen_copy(model) if result is model else result
            with failing_in_a_sentence("Relearning", step, first=0, lr=lr):
                loss = (model(z) - targets).abs().flatten(1).sum(1).mean()
                if not loss.isfinite():
                    raise TrainingError(
                        f"The loss of relearning is {loss.item()} at step {step}: lower lr (now "
                        f"{lr:g}), or look at the latents."
                    )
                optimizer.zero_grad(set_to_none=True)
                loss.backward(inputs=weights)
            optimizer.step()
    return results
