"""Unlearning in rounds, until a look at the tuned model says that the feature is gone.

Moon, Cho and Kim (AAAI 2024) draw a loop: sample, and repeat until the feature is no longer made.
Here a round tunes towards per-sample targets, and then the model is looked at. Which samples still
have the feature, and by how much, sets the targets of the next round.
"""

import contextlib
import warnings
from collections.abc import Callable

import torch
from torch import nn

from forgetting.border.conditions import own_conditions
from forgetting.border.contracts import BATCH
from forgetting.border.copies import averaged_copy, device_of, freeze, frozen_copy, name_of
from forgetting.border.feature_score import Score
from forgetting.border.preflight import check_generator
from forgetting.border.sampling import draws_at_random
from forgetting.errors import DataError, DataWarning, TrainingError
from forgetting.foundation.progress import phase, tracked
from forgetting.methods.feature_unlearning import UnlearningConfig, imitation
from forgetting.methods.finetune import Drawn, finetune
from forgetting.methods.latent_pool import collect_pool
from forgetting.methods.latent_targets import find_levels, find_targets
from forgetting.methods.problem import Trainable, UnlearningProblem, all_weights
from forgetting.methods.results import Callback, Look, UnlearningResult, UntilGoneResult
from forgetting.methods.until_gone_config import LEARNING_RATES, UntilGoneConfig

TRIAL_PART = 3
"""A trial of a learning rate takes one step in so many of a round."""

N_COMPARED = 10
"""Last steps of a trial by whose losses the learning rates are compared."""

WORSE = 0.15
"""By which part the loss of a trial may exceed the lowest, for the highest such rate to be chosen.

A trial is shorter than a round, and in the steps that it lacks a higher rate gains on a lower one.
"""

LEAST_SHARE = 0.2
"""Least part of a batch that shall change; of a frequent feature it is the feature's share."""

NEARLY_NONE = 0.01
"""Share of samples with the feature up to which the score has nothing more to tell."""

MORE = 4 / 3
"""How many times as many samples are to change then."""

HALVINGS = 3
"""How often the way back from a round that went too far is halved."""


def until_gone(
    generator: nn.Module,
    score: Score,
    look: Callable[[nn.Module], Look],
    config: UntilGoneConfig | None = None,
    *,
    trainable: Trainable = all_weights,
    callback: Callback | None = None,
) -> UntilGoneResult:
    """Tune a copy of a generator in rounds, until a look says that the feature is gone.

    1. Samples of the original are scored, and the direction of the feature is found.
    2. Every sample that does not surely lack the feature walks along the direction until its
       score falls to a level. The levels are the scores of samples that surely lack the feature,
       and no walk goes farther than these lie along the direction. Samples for which this is too
       short have a further direction of their own.
    3. A round tunes the copy. A batch has as large a share of such samples as there is of them, at
       least a fifth. Their targets are their places on the walk. All others surely lack the
       feature and stay as they are.
    4. `look` is called. If the feature is short of gone, a further round goes on from the copy.
       Where its image of a sample scores higher than its level, the level is lowered by the
       difference. If the score hardly finds the feature any more, the graders see what it does
       not: then a third more samples than before count as not surely lacking it, and those with
       most of the feature have the lowest levels.
    5. If a round went past, its weights are averaged with those before the round.

    Parameters
    ----------
    generator : nn.Module
        Has `latent_dim` and `forward(z: (B, latent_dim)) -> images` (B, C, H, W) in [0, 1].
    score : callable
        Images (B, C, H, W) to scores (B,), such as the logits of a classifier. No gradient is
        needed.
    look : callable
        From the tuned copy to a `Look`. What it looks with shall have no part in `score`.
    config : UntilGoneConfig, optional
        Settings.
    trainable, callback
        As `unlearn_feature` takes them.

    Returns
    -------
    UntilGoneResult
        The tuned copy and what was seen of it. The rows of the history have `round`, and the last
        of a round the figures of the look, as `look_NAME`.

    Raises
    ------
    DataError
        Too few samples have the feature or lack it, or no walk reaches a place that lacks it.
    TrainingError
        The loss is finite at none of the learning rates.
    """
    config = config or UntilGoneConfig()
    check_generator(generator, trainable, is_tuned=True)
    if draws_at_random(generator):
        warnings.warn(
            f"{name_of(generator)} draws random numbers, such as noise or a class. Rounds move "
            "each latent by the scores of single images, which are drawn anew at each place: the "
            "single pass, `unlearn_feature`, compares images of one draw.",
            DataWarning,
            stacklevel=2,
        )
    with own_conditions(config.seed):
        return _Rounds(generator, score, look, config, trainable, callback).run()


class _Rounds:
    """The state of unlearning in rounds."""

    def __init__(
        self,
        generator: nn.Module,
        score: Score,
        look: Callable[[nn.Module], Look],
        config: UntilGoneConfig,
        trainable: Trainable,
        callback: Callback | None,
    ) -> None:
        self.generator, self.score, self.look = generator, score, look
        self.config, self.trainable, self.callback = config, trainable, callback
        self.pool = collect_pool(
            generator,
            score,
            threshold=config.threshold,
            lacking=config.lacking,
            n=config.n_collected,
            n_with_feature=config.n_with_feature,
            seed=config.seed,
        )
        self.lowered = torch.zeros(len(self.pool.scores))
        self.is_blind = False  # whether the score finds next to nothing where the graders do
        self.n_steps = 0

    def run(self) -> UntilGoneResult:
        """Run rounds until the feature is gone, or there are no rounds left."""
        model, lr = frozen_copy(self.generator), self.config.lr
        looks: list[Look] = []
        history: list[dict[str, float]] = []
        for number in range(1, self.config.rounds + 1):
            self._set_targets()
            lr = lr or self._best_rate()
            with phase(f"round {number}"):
                result = self._tune(model, self.config.of_round(number, lr), self._called_back())
            looks.append(self._look(result.model))
            seen_now = {f"look_{name}": value for name, value in looks[-1].figures.items()}
            rows = [self._placed(row) | {"round": number} for row in result.history]
            history += [*rows[:-1], rows[-1] | seen_now]
            self.n_steps += self.config.steps
            before, model = model, result.model
            if looks[-1].state == "past":
                model, seen = self._step_back(before, model)
                looks += seen
            if looks[-1].state != "short":
                break
            self._aim_lower(model)
        assert lr is not None
        unsolved = 1 - float(self.targets.is_solved.float().mean())
        direction = self.pool.direction("raw")
        return UntilGoneResult(freeze(model), history, looks, lr, unsolved, direction)

    def _look(self, model: nn.Module) -> Look:
        """Return what is seen of a tuned model."""
        with phase("looking"):
            return self.look(model)

    def _placed(self, row: dict[str, float]) -> dict[str, float]:
        """Return a row of a round, its steps counted from the first round on."""
        return row | {"step": row["step"] + self.n_steps}

    def _called_back(self) -> Callback | None:
        """Return the callback of a round, whose steps are counted from the first round on."""
        callback = self.callback
        if callback is None:
            return None
        return lambda row, model: callback(self._placed(row), model)

    def _tune(
        self, start: nn.Module, config: UnlearningConfig, callback: Callback | None = None
    ) -> UnlearningResult:
        """Tune a copy of a model towards the present targets."""
        latents, targets = (
            each[self.targets.is_solved] for each in (self.targets.latents, self.targets.targets)
        )
        others = self.pool.lacking_latents
        share = max(LEAST_SHARE, 1 - len(others) / len(self.pool.scores))
        n_sources = max(1, round(config.batch_size * share))
        n_others = config.batch_size - n_sources

        def draw(random: torch.Generator) -> Drawn:
            i = torch.randint(len(latents), (n_sources,), generator=random)
            j = torch.randint(len(others), (n_others,), generator=random)
            drawn = torch.cat([latents[i], others[j]])
            return Drawn(
                drawn,
                selected=torch.arange(len(drawn)) < n_sources,
                targets=torch.cat([targets[i], others[j]]),
            )

        direction = self.pool.direction()
        problem = UnlearningProblem(
            self.generator, direction, self.trainable, callback, start=start
        )
        return finetune(problem, imitation(config), config, draw=draw)

    def _best_rate(self) -> float:
        """Return the highest learning rate whose loss after a trial is about the lowest."""
        losses = {}
        steps = max(1, self.config.steps // TRIAL_PART)
        for lr in LEARNING_RATES:
            config = self.config.of_round(0, lr).model_copy(
                update={"steps": steps, "log_every": 1}
            )
            with contextlib.suppress(TrainingError), phase(f"trying learning rate {lr:g}"):
                last = self._tune(self.generator, config).history[-N_COMPARED:]
                losses[lr] = sum(row["loss"] for row in last)
        if not losses:
            raise TrainingError(
                f"The loss is finite at none of the learning rates {LEARNING_RATES}: give a lower "
                "`lr`."
            )
        lowest = min(losses.values())
        return max(lr for lr, loss in losses.items() if loss <= lowest * (1 + WORSE))

    def _set_targets(self) -> None:
        """Find the targets of the next round.

        Raises
        ------
        DataError
            There is none.
        """
        levels = find_levels(self.pool, most_lowest=self.is_blind)
        self.levels = levels - self.lowered[self.pool.is_to_change]
        self.targets = find_targets(self.generator, self.score, self.pool, self.levels)
        if not self.targets.is_solved.any():
            raise DataError(
                "Along no direction does any sample lose the feature: its score stays above those "
                "of samples that lack it. Check that the score finds the feature, or collect more."
            )

    def _aim_lower(self, model: nn.Module) -> None:
        """Lower the levels by what a model's scores lie above them, or take more samples in.

        Where the score finds next to nothing, the graders see what it does not.
        """
        device = device_of(model)
        parts = []
        for part in tracked(self.targets.latents.split(BATCH), "scoring"):
            with torch.no_grad():
                parts.append(self.score(model(part.to(device))).cpu())
        scores, threshold = torch.cat(parts), self.pool.threshold
        self.lowered[self.pool.is_to_change] += (scores - self.levels).clamp(min=0)
        self.is_blind = int((scores > threshold).sum()) <= NEARLY_NONE * len(self.pool.scores)
        if self.is_blind:
            self.pool = self.pool.widened(MORE)

    def _step_back(self, before: nn.Module, after: nn.Module) -> tuple[nn.Module, list[Look]]:
        """Return a model between one that is short of gone and one that is past it."""
        looks: list[Look] = []
        low, high, model = 0.0, 1.0, after
        for _ in range(HALVINGS):
            part = (low + high) / 2
            model = averaged_copy(before, after, part)
            looks.append(self._look(model))
            if looks[-1].state == "there":
                break
            low, high = (low, part) if looks[-1].state == "past" else (part, high)
        return model, looks
