"""The linear probe: does a layer still compute a feature that its images do not show?"""

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from forgetting.border.conditions import own_conditions
from forgetting.border.copies import frozen_copy
from forgetting.border.inference import generate
from forgetting.border.preflight import check_generator
from forgetting.errors import DataError, ModelError

MIN_SAMPLES = 10


def linear_probe(
    model: nn.Module,
    layer: nn.Module,
    latents: torch.Tensor,
    has_feature: torch.Tensor,
) -> float:
    """Return how much better a linear probe reads the feature from a layer than from the latent.

    Two logistic regressions predict whether the *original's* image of a latent has the feature,
    one from the layer's input and one from the latents, each by five-fold cross-validation. The
    latent reveals the feature by construction; the difference is what the model still computes.

    Parameters
    ----------
    model : nn.Module
        The generator that forgot; a copy in evaluation mode is used.
    layer : nn.Module
        A module of the model, usually its last layer. An input with two spatial dimensions is
        averaged over 4 x 4 places.
    latents : Tensor, (N, latent_dim)
        Random latents.
    has_feature : Tensor, bool, (N,)
        Which images of the original, from the same latents, have the feature.

    Returns
    -------
    float
        AUC from the layer minus AUC from the latents.

    Raises
    ------
    DataError
        Fewer than ten samples have the feature, or fewer than ten lack it, there is not one label
        for each latent, a label is neither 0 nor 1, or a latent comes twice.
    ModelError
        The generator does not pass the preflight, or the layer is none of its modules or does not
        get one tensor for each latent, or gets the same for all.
    """
    if has_feature.shape != (len(latents),):
        raise DataError(
            f"There are {len(latents)} latents and labels {tuple(has_feature.shape)}: give one "
            "label for each latent."
        )
    if not ((has_feature == 0) | (has_feature == 1)).all():
        raise DataError("The labels hold other values than 0 and 1: give booleans.")
    has_feature = has_feature.bool().cpu()
    n_present = int(has_feature.sum())
    if min(n_present, len(has_feature) - n_present) < MIN_SAMPLES:
        raise DataError(
            f"{n_present} of {len(has_feature)} samples show the feature: a linear probe needs "
            f"{MIN_SAMPLES} that do and {MIN_SAMPLES} that do not. Use more samples."
        )
    activations: list[torch.Tensor] = []

    def record(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        activation = inputs[0].detach() if inputs else torch.empty(0)
        if activation.ndim == 4:
            activation = nn.functional.adaptive_avg_pool2d(activation, 4)
        activations.append(activation.flatten(1).cpu().clone())  # the layer may work in place

    names = [name for name, module in model.named_modules() if module is layer]
    if not names:
        raise ModelError(
            f"The layer, {type(layer).__name__}, is no module of {type(model).__name__}: give one "
            "of its `modules()`."
        )
    check_generator(model)
    n_distinct = len(latents.unique(dim=0))
    if n_distinct < len(latents):
        raise DataError(
            f"Of {len(latents)} latents {n_distinct} differ, so that the probe is tested on what "
            "it was fitted to: give each latent once."
        )
    latents = latents.detach().cpu().float()
    duplicate = frozen_copy(model)
    duplicate.get_submodule(names[0]).register_forward_pre_hook(record)
    with own_conditions(gradients=False):
        generate(duplicate, latents)
    n_seen = sum(map(len, activations))
    if n_seen != len(latents):
        raise ModelError(
            f"The layer `{names[0]}` of {type(model).__name__} gets {n_seen} inputs for "
            f"{len(latents)} latents: give a layer that gets one tensor for each latent."
        )
    inputs = torch.cat(activations)
    if torch.equal(inputs, inputs[:1].expand_as(inputs)):
        raise ModelError(
            f"The layer `{names[0]}` of {type(model).__name__} gets the same input for all "
            f"{len(latents)} latents: give one that computes with them."
        )
    return _auc(inputs, has_feature) - _auc(latents, has_feature)


def _auc(inputs: torch.Tensor, has_feature: torch.Tensor) -> float:
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    labels = has_feature.numpy()
    scores = cross_val_predict(probe, inputs.numpy(), labels, cv=5, method="decision_function")
    return float(roc_auc_score(labels, scores))
