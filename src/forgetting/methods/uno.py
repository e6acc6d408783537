"""UNO: retain and forget with gradients that a penalty makes orthogonal to each other."""

import torch
import torch.nn.functional as F
from pydantic import Field

from forgetting.border.copies import device_of, free_weights
from forgetting.errors import ModelError
from forgetting.methods.finetune import Batch, FinetuneConfig, Gradients, Losses, finetune
from forgetting.methods.gradient_surgery import SMALLEST_SQUARE
from forgetting.methods.problem import Score, UnlearningProblem
from forgetting.methods.registry import unlearning_method
from forgetting.methods.results import UnlearningResult


class UnoConfig(FinetuneConfig):
    """Settings of UNO: those of the shared loop and the weight of its penalty."""

    orthogonality: float = Field(
        10.0,
        ge=0,
        description="weight of the squared cosine of the two gradients; default: that of the "
        "authors' code for faces, whose losses differ from the study's",
    )


@unlearning_method(
    "uno", UnoConfig, needs_score=True, source="Mandal and Gottwald, 2025 (2506.04712)"
)
def uno(problem: UnlearningProblem, config: UnoConfig, score: Score) -> UnlearningResult:
    """Retain and lower the probability of the feature, with orthogonal gradients of the two.

    With f the original, g the tuned copy and sim(z) = 1 for a selected latent, the loss is

        L_forget + L_retain + orthogonality cos^2(grad L_forget, grad L_retain)

    L_forget is the mean of -sim log(1 - p), with p = sigmoid(score) the probability of the
    feature. L_retain is the mean of (1 - sim) |g(z) - f(z)|^2.

    The authors have data, and both of their losses are the VAE's training loss. UNO lowers
    L_retain and the cosine; a variant in their code adds a loss of a classifier. Here the data is
    gone, and L_retain and its gradient are zero at the start. The first two terms alone would
    leave the copy as it is, so that the study takes the variant. Its classifier's loss
    serves as L_forget. The distance is squared because a sum of absolute values has no curvature.
    UNO-S, which has steps of gradient surgery as well, is left out.

    Raises
    ------
    ModelError
        The generator or the score has no second derivatives, of which the penalty's gradient is.
    """
    _check_second_derivatives(problem, score)

    def objective(batch: Batch) -> Losses:
        distances = (batch.images - batch.original(batch.latents)).square().flatten(1).sum(1)
        forget = (batch.selected * F.softplus(score(batch.images))).mean()
        retain = (~batch.selected * distances).mean()
        gradients = (
            torch.autograd.grad(loss, batch.weights, create_graph=True, materialize_grads=True)
            for loss in (forget, retain)
        )
        penalty = config.orthogonality * squared_cosine(*gradients)
        return {"classifier": forget, "recon": retain, "orthogonality": penalty}

    return finetune(problem, objective, config)


def _check_second_derivatives(problem: UnlearningProblem, score: Score) -> None:
    """Raise an error unless gradients of the score can be differentiated by the tuned weights."""
    model = problem.tunable_copy()
    weights = free_weights(problem.trainable(model))
    latents = torch.randn(2, problem.latent_dim, generator=torch.Generator().manual_seed(0))
    scores = score(model(latents.to(device_of(model))))
    try:
        gradients = torch.autograd.grad(
            scores.sum(), weights, create_graph=True, materialize_grads=True
        )
        squares = torch.stack([gradient.square().sum() for gradient in gradients]).sum()
        if squares.requires_grad:  # that of a linear model is constant
            squares.backward()  # with `inputs`, a path that ends is passed over without a word
    except RuntimeError as error:
        raise ModelError(
            "The generator or the score has no second derivatives, which UNO needs "
            f"({str(error).splitlines()[0]}): take another method, such as gradient surgery."
        ) from error


def squared_cosine(a: Gradients, b: Gradients) -> torch.Tensor:
    """Return cos^2 of the angle between two gradients over all parameters, differentiably.

    It is 0 where one of the gradients is.
    """
    first, second = (torch.cat([part.flatten() for part in g]) for g in (a, b))
    squares = [g.square().sum().clamp(min=SMALLEST_SQUARE) for g in (first, second)]
    return ((first * second).sum() * squares[0].rsqrt() * squares[1].rsqrt()).square()
