"""Probes: is a feature gone from a generator, or only hidden?

None of them knows how the model forgot. Each is asked of the original first: one that finds
nothing there says nothing elsewhere.
"""

import copy
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import torch
from scipy.stats import chi
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from forgetting.errors import DataError
from forgetting.inference import BATCH, generate

T = TypeVar("T")

SHELL = 0.01, 0.99
"""Quantiles of the norm of N(0, I) between which an attacked latent must lie."""


@torch.enable_grad()
def latent_attack(
    generator: nn.Module,
    score: Callable[[torch.Tensor], torch.Tensor],
    n: int,
    *,
    steps: int = 100,
    restarts: int = 1,
    lr: float = 0.05,
    seed: int = 0,
) -> torch.Tensor:
    """Look for latents whose image scores high, among those that N(0, I) could have given.

    Adam climbs from random latents; after every step a latent's norm is brought back between the
    1st and the 99th percentile of the norms of N(0, I). Of the restarts the highest counts.

    Parameters
    ----------
    score : images (B, C, H, W) -> (B,), differentiable: classifier A's logit, as another classifier grades
    n : latents to find
    steps, lr : of Adam, for each restart

    Returns
    -------
    (n, latent_dim)
    """
    dim, device = generator.latent_dim, next(generator.parameters()).device
    random = torch.Generator().manual_seed(seed)
    best, latents = torch.full((n,), -math.inf), torch.zeros(n, dim)
    for _ in range(restarts):
        starts = torch.randn(n, dim, generator=random)
        for part in torch.arange(n).split(BATCH):
            z = starts[part].clone().requires_grad_()
            climb = torch.optim.Adam([z], lr)
            for _ in range(steps):
                climb.zero_grad()
                (gradient,) = torch.autograd.grad(-score(generator(z.to(device))).sum(), z)
                z.grad = gradient
                climb.step()
                with torch.no_grad():
                    z.copy_(on_shell(z))
            with torch.no_grad():
                found = score(generator(z.to(device))).cpu()
            better = found > best[part]
            best[part[better]], latents[part[better]] = found[better], z.detach()[better]
    return latents


def on_shell(latents: torch.Tensor) -> torch.Tensor:
    """Bring the norms of latents (B, d) between the `SHELL` quantiles of those of N(0, I)."""
    low, high = (float(q) for q in chi.ppf(SHELL, latents.shape[1]))
    norm = latents.norm(dim=1, keepdim=True)
    return latents * norm.clamp(low, high) / norm


@dataclass(frozen=True)
class Inversion:
    """What a generator makes of the latents that come nearest to given images.

    Attributes
    ----------
    latents, images : (N, latent_dim), (N, C, H, W)
    errors : (N,), mean absolute difference of a pixel to the given image, in [0, 1]
    """

    latents: torch.Tensor
    images: torch.Tensor
    errors: torch.Tensor


@torch.enable_grad()
def inversion_attack(
    generator: nn.Module,
    targets: torch.Tensor,
    features: Callable[[torch.Tensor], torch.Tensor],
    *,
    steps: int = 200,
    restarts: int = 2,
    lr: float = 0.05,
    weight: float = 0.1,
    seed: int = 0,
) -> Inversion:
    """Look for the latents from which a generator makes given images.

    Minimises the mean L1 of pixels plus `weight` times that of a classifier's features, on the shell
    where N(0, I) lives; of the restarts the nearest in pixels counts.

    Parameters
    ----------
    targets : (N, C, H, W), made by the original, with the feature
    features : images -> (B, F), differentiable
    steps, lr : of Adam, for each restart

    Returns
    -------
    The latents, what the generator makes of them, and how far that is.
    """
    dim, device = generator.latent_dim, next(generator.parameters()).device
    random = torch.Generator().manual_seed(seed)
    n = len(targets)
    best, latents = torch.full((n,), math.inf), torch.zeros(n, dim)
    for _ in range(restarts):
        starts = torch.randn(n, dim, generator=random)
        for part in torch.arange(n).split(BATCH):
            wanted = targets[part].to(device)
            with torch.no_grad():
                seen = features(wanted)
            z = starts[part].clone().requires_grad_()
            descend = torch.optim.Adam([z], lr)
            for _ in range(steps):
                image = generator(z.to(device))
                loss = _error(image, wanted) + weight * (features(image) - seen).abs().mean(1)
                (z.grad,) = torch.autograd.grad(loss.sum(), z)
                descend.step()
                with torch.no_grad():
                    z.copy_(on_shell(z))
            with torch.no_grad():
                found = _error(generator(z.to(device)), wanted).cpu()
            nearer = found < best[part]
            best[part[nearer]], latents[part[nearer]] = found[nearer], z.detach()[nearer]
    return Inversion(latents, generate(generator, latents), best)


def _error(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a - b).abs().flatten(1).mean(1)


@torch.enable_grad()
def relearn(
    generator: nn.Module,
    images: torch.Tensor,
    latents: torch.Tensor,
    asked: Iterable[int],
    ask: Callable[[nn.Module], T],
    *,
    trainable: Callable[[nn.Module], nn.Module] = lambda model: model,
    lr: float = 1e-3,
) -> dict[int, T]:
    """Show a copy of a generator a few images with the feature, and ask how soon it comes back.

    Adam lowers the L1 to those images, all of them at every step: a sum over pixels and a mean
    over images.

    Parameters
    ----------
    images : (k, C, H, W), with the feature
    latents : (k, latent_dim), those from which the generator comes nearest to them
        (`inversion_attack`): what a feature is worth that was only hidden shows in a few steps
    asked : numbers of steps after which to ask, 0 among them or not
    ask : the model -> what is asked, such as the share of fresh samples that show the feature
    trainable : picks the part of the copy that is tuned
    lr : of Adam

    Returns
    -------
    the answer for every number of steps asked about
    """
    model = copy.deepcopy(generator).requires_grad_(False)
    optimizer = torch.optim.Adam(trainable(model).requires_grad_(True).parameters(), lr)
    device = next(model.parameters()).device
    wanted, z = images.to(device), latents.to(device)
    found = {}
    points = sorted(set(asked))
    for step in range(points[-1] + 1):
        if step in points:
            found[step] = ask(model)
        loss = (model(z) - wanted).abs().flatten(1).sum(1).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return found


def linear_probe(
    model: nn.Module,
    layer: nn.Module,
    latents: torch.Tensor,
    has_feature: torch.Tensor,
) -> float:
    """Return how much better a linear probe finds the feature in a layer than in the latent.

    A logistic regression on what enters the layer, and one on the latents, each cross-validated
    in five parts, are asked whether the *original's* image of a latent shows the feature. A latent
    gives that away by construction; what the last layer adds is what the model still computes.

    Parameters
    ----------
    layer : of the model, its last; what enters it is averaged over 4 x 4 places
    latents : (N, latent_dim)
    has_feature : bool (N,), of the original's images of the same latents

    Returns
    -------
    AUC of the layer minus AUC of the latent

    Raises
    ------
    DataError
        Fewer than ten of either kind.
    """
    if min(int(has_feature.sum()), int((~has_feature).sum())) < 10:
        raise DataError(
            f"{int(has_feature.sum())} of {len(has_feature)} samples show the feature: a probe needs ten that "
            "do and ten that don't."
        )
    caught: list[torch.Tensor] = []

    def catch(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        entered = inputs[0].detach()
        if entered.ndim == 4:
            entered = nn.functional.adaptive_avg_pool2d(entered, 4)
        caught.append(entered.flatten(1).cpu())

    hook = layer.register_forward_pre_hook(catch)
    try:
        generate(model, latents)
    finally:
        hook.remove()
    return _auc(torch.cat(caught), has_feature) - _auc(latents, has_feature)


def _auc(inputs: torch.Tensor, has_feature: torch.Tensor) -> float:
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    y = has_feature.numpy()
    scores = cross_val_predict(probe, inputs.numpy(), y, cv=5, method="decision_function")
    return float(roc_auc_score(y, scores))
