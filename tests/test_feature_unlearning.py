"""Feature unlearning, on a generator whose feature is the width of a bar."""

import pytest
import torch
import torch.nn.functional as F
from bars import Bars, width
from torch import nn
from torchmetrics.functional.image import structural_similarity_index_measure

import forgetting as fg
from forgetting.border.adapters import ConcatenatedLatents
from forgetting.errors import (
    DataError,
    DataWarning,
    ModelError,
    ParameterError,
    TrainingError,
    validated,
)
from forgetting.methods import feature_unlearning
from forgetting.methods.direction import (
    Direction,
    LabelledLatents,
    collect_latents,
    find_direction,
)
from forgetting.methods.feature_unlearning import UnlearningConfig, ms_ssim, unlearn_feature
from forgetting.methods.latent_filter import LatentFilter
from forgetting.probes.relearning import relearn


def test_the_tenth_of_samples_with_the_highest_scores_is_positive(bars, labelled):
    assert labelled.positive.shape == (500, 6)
    assert labelled.negative.shape == (4500, 6)
    lowest = width(bars(labelled.positive)).min()
    assert bool((width(bars(labelled.negative)) <= lowest).all())


def test_samples_beyond_a_given_threshold_are_positive(bars):
    threshold = float(width(bars(torch.zeros(1, 6))).detach())
    labelled = collect_latents(bars, width, 500, threshold=threshold)
    assert 150 < len(labelled.positive) < 350
    assert bool((width(bars(labelled.positive)) > threshold).all())
    assert bool((width(bars(labelled.negative)) <= threshold).all())
    with pytest.raises(
        DataError, match=r"0 of 500 samples show the feature; a direction needs 10"
    ):
        collect_latents(bars, width, 500, threshold=1e6)
    with pytest.raises(DataError, match=r"500 of 500 samples .* Collect about 10,000"):
        collect_latents(bars, width, 500, threshold=-1.0)


def test_the_direction_of_width_is_found(labelled):
    direction = find_direction(labelled, form="unit")
    assert float(direction.vector[0]) > 0.98
    assert labelled.agreement() > 0.95
    raw = find_direction(labelled)
    torch.testing.assert_close(raw.vector / raw.vector.norm(), direction.vector)
    assert raw.projection_threshold == pytest.approx(direction.projection_threshold, abs=1e-5)


def test_projection_thresholds_select_a_fifth_or_a_half_of_the_latents(labelled):
    z = torch.randn(20_000, 6, generator=torch.Generator().manual_seed(1))
    shares = [
        float(find_direction(labelled, projection_threshold=name).selects(z).float().mean())
        for name in ("midpoint", "prevalence")
    ]
    assert 0.15 < shares[0] < 0.3
    assert 0.45 < shares[1] < 0.55


def test_a_unit_vector_erases_to_the_projection_threshold_and_a_longer_one_beyond():
    z = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
    unit = Direction(torch.tensor([0.6, 0.8, 0.0, 0.0]), 0.3)
    selected = unit.selects(z)
    landed = unit.project(unit.erase(z))[selected]
    torch.testing.assert_close(landed, torch.full_like(landed, 0.3))
    assert torch.equal(unit.erase(z)[~selected], z[~selected])
    raw = Direction(2 * unit.vector, 0.3)
    mirrored = raw.project(raw.erase(z))[selected]
    torch.testing.assert_close(mirrored, 0.6 - unit.project(z)[selected])


def test_the_feature_goes_and_other_images_stay(bars, labelled):
    direction = find_direction(labelled)
    config = UnlearningConfig(steps=300, lr=0.02)
    state = {key: value.clone() for key, value in bars.state_dict().items()}
    result = unlearn_feature(bars, direction, config)
    assert all(torch.equal(state[key], value) for key, value in bars.state_dict().items())
    z = torch.randn(4000, 6, generator=torch.Generator().manual_seed(1))
    threshold = width(bars(z)).quantile(0.9)
    with torch.no_grad():
        after = result.model(z)
        change = (after - bars(z)).abs().mean((1, 2, 3))
    assert float((width(after) > threshold).float().mean()) < 0.01
    selected = direction.selects(z)
    assert float(change[~selected].mean()) < 0.3 * float(change[selected].mean())
    assert result.history[-1]["loss"] < result.history[0]["loss"]


def test_several_latents_are_unlearned_as_their_concatenation(bars):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.bars = Bars()

        def forward(self, first, second):
            return self.bars(torch.cat([second, first], 1))

    concatenated = ConcatenatedLatents(Two(), (5, 1))
    direction = find_direction(collect_latents(concatenated, width, 5000))
    assert int(direction.vector.abs().argmax()) == 5
    result = unlearn_feature(concatenated, direction, UnlearningConfig(steps=300, lr=0.02))
    z = torch.randn(2000, 6, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before, after = width(concatenated(z)), width(result.model(z))
    threshold = before.quantile(0.9)
    assert float((after > threshold).float().mean()) < 0.01


def test_only_the_trainable_part_is_tuned(bars, labelled):
    class Wrapped(nn.Module):
        latent_dim = 6

        def __init__(self):
            super().__init__()
            self.decoder, self.encoder = Bars(), nn.Linear(2, 2)

        def forward(self, z):
            return self.decoder(z)

    wrapped = Wrapped()
    direction, config = find_direction(labelled), UnlearningConfig(steps=3)
    result = unlearn_feature(wrapped, direction, config, trainable=lambda copy: copy.decoder)
    assert torch.equal(result.model.encoder.weight, wrapped.encoder.weight)
    assert not torch.equal(result.model.decoder.gain, wrapped.decoder.gain)


def test_the_latent_filter_erases_latents_and_leaves_the_weights(bars, labelled):
    direction = find_direction(labelled)
    z = torch.randn(50, 6, generator=torch.Generator().manual_seed(2))
    assert torch.equal(LatentFilter(bars, direction)(z), bars(direction.erase(z)))


@pytest.mark.parametrize("size", [6, 20, 28, 32, 64, 128])
def test_ms_ssim_is_one_for_equal_images_and_has_gradients(size):
    generator = torch.Generator().manual_seed(0)
    a = torch.rand(3, 1, size, size, generator=generator, requires_grad=True)
    b = torch.rand(3, 1, size, size, generator=generator)
    torch.testing.assert_close(ms_ssim(a, a.detach()), torch.ones(3), atol=1e-4, rtol=0)
    different = ms_ssim(a, b)
    assert different.shape == (3,)
    assert float(different.detach().max()) < 0.9
    different.sum().backward()
    assert torch.isfinite(a.grad).all()


def test_ms_ssim_weighs_the_finest_scale_least():
    a = torch.rand(3, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    b = (a + 0.1 * torch.rand(a.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    settings = {
        "gaussian_kernel": False,
        "kernel_size": 5,
        "data_range": 1.0,
        "reduction": "none",
        "return_contrast_sensitivity": True,
    }
    _, fine = structural_similarity_index_measure(a, b, **settings)
    halves = (F.avg_pool2d(images, 2) for images in (a, b))
    coarse, _ = structural_similarity_index_measure(*halves, **settings)
    torch.testing.assert_close(ms_ssim(a, b), fine**0.0448 * coarse**0.2856)


def test_without_selected_latents_nothing_changes(bars):
    far = Direction(torch.eye(6)[0], 3.9)
    result = unlearn_feature(bars, far, UnlearningConfig(steps=2))
    assert result.history[-1]["loss_percep"] == result.history[-1]["loss_unlearn"] == 0
    z = torch.randn(20, 6, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(result.model(z), bars(z))


def test_the_losses_are_means_over_all_latents_of_the_batch(bars, labelled):
    """At the first step the tuned copy is the original, so that every loss has a closed form."""
    direction = find_direction(labelled)
    config = UnlearningConfig(
        steps=1, batch_size=40, alpha=2.0, pixels=0.5, perceptual=3.0, reconstruction=5.0, seed=4
    )
    row = unlearn_feature(bars, direction, config).history[0]
    z = torch.randn(40, 6, generator=torch.Generator().manual_seed(4))
    selected = direction.selects(z)
    assert 0 < int(selected.sum()) < 40
    with torch.no_grad():
        images, targets = bars(z[selected]), bars(direction.erase(z[selected]))
        l1 = float((images - targets).abs().sum())
        dissimilarity = float((1 - ms_ssim(images, targets)).sum())
    assert row["loss_unlearn"] == pytest.approx(2.0 * 0.5 * l1 / 40, rel=1e-4)
    assert row["loss_percep"] == pytest.approx(2.0 * 3.0 * dissimilarity / 40, rel=1e-3)
    assert row["loss_recon"] == 0
    assert row["loss"] == pytest.approx(row["loss_unlearn"] + row["loss_percep"], rel=1e-5)


def test_bad_input_is_refused_in_a_sentence(bars, labelled):
    with pytest.raises(DataError, match="collect at least 100"):
        collect_latents(bars, width, 50)
    with pytest.raises(ModelError, match="score is not finite"):
        collect_latents(bars, lambda images: width(images) * torch.nan, 200)
    with pytest.raises(DataError, match="as many that don't"):
        collect_latents(bars, width, 200, share=1.0)
    with pytest.raises(ModelError, match=r"shape \(8, 1\) for 8 images, not \(8,\)"):
        collect_latents(bars, lambda images: width(images)[:, None], 200)
    with pytest.raises(DataError, match="direction has 3 dimensions"):
        unlearn_feature(bars, Direction(torch.ones(3), 0.0))
    with pytest.raises(DataError, match="not 4 px"):
        ms_ssim(torch.rand(1, 1, 4, 4), torch.rand(1, 1, 4, 4))


def test_collecting_leaves_a_generator_in_training_mode_as_it_was():
    class Normed(nn.Module):
        latent_dim = 3

        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(3)

        def forward(self, z):
            return self.norm(z).sigmoid()[:, :, None, None]

    generator = Normed().train()
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    collect_latents(generator, lambda images: images.mean((1, 2, 3)), 600)
    assert generator.training
    assert all(torch.equal(before[name], value) for name, value in generator.state_dict().items())


class Strict(Bars):
    """Bars that refuse what is no number, as a checking layer does."""

    def forward(self, latents):
        if self.weight().abs().max() > 1e6:
            raise ValueError("a weight is out of range")
        return super().forward(latents)

    def weight(self):
        return torch.cat([weight.flatten() for weight in self.parameters()])


def test_what_a_generator_raises_while_it_is_tuned_is_a_sentence():
    direction = Direction(torch.eye(6)[0], 0.5)
    with pytest.raises(TrainingError, match=r"Tuning: the model fails at step 2 \(ValueError"):
        fg.unlearn_feature(Strict(), direction, UnlearningConfig(steps=3, lr=1e9))
    latents = torch.randn(8, 6)
    images = Bars()(latents).detach() / 2
    with pytest.raises(TrainingError, match=r"Relearning: the model fails at step 1 \(ValueError"):
        relearn(Strict(), images, latents, [3], lambda model: 0, lr=1e9)


def test_a_last_step_that_breaks_the_weights_leaves_no_model():
    with pytest.raises(TrainingError, match=r"not finite after step 1.*learning rate"):
        fg.unlearn_feature(
            Bars(), Direction(torch.eye(6)[0], 0.5), UnlearningConfig(steps=1, lr=1e39)
        )


def test_means_that_differ_by_rounding_alone_have_no_direction():
    latents = torch.randn(500, 6, generator=torch.Generator().manual_seed(0))
    rounded = latents.flip(0) * (1 + torch.finfo().eps)
    for form in ("raw", "unit"):
        with pytest.raises(DataError, match="equal but for rounding"):
            fg.find_direction(LabelledLatents(latents, rounded), form=form)
    fg.find_direction(LabelledLatents(latents + 0.001, latents.flip(0)))


def test_without_its_part_of_the_loss_ms_ssim_is_not_computed(bars, monkeypatch):
    monkeypatch.setattr(feature_unlearning, "ms_ssim", None)
    direction = Direction(torch.eye(6)[0], 0.0)
    rows = unlearn_feature(bars, direction, UnlearningConfig(steps=2, perceptual=0.0)).history
    assert rows[-1]["loss_percep"] == 0
    with pytest.raises(TypeError):  # the part is there, and what computes it is not
        unlearn_feature(bars, direction, UnlearningConfig(steps=2))


@pytest.mark.parametrize("factors", [{"alpha": 0}, {"perceptual": 0, "pixels": 0}])
def test_factors_with_which_nothing_is_unlearned_are_refused(factors):
    validated(UnlearningConfig, {"perceptual": 0, "reconstruction": 0})
    with pytest.raises(ParameterError, match="unlearn nothing: give alpha and one of the others"):
        validated(UnlearningConfig, factors)


def test_a_direction_that_erases_to_where_no_latent_lies_is_noted(recwarn):
    config = UnlearningConfig(steps=1, batch_size=8)
    unlearn_feature(Bars(), Direction(3 * torch.eye(6)[0], 1.0), config)  # as long as any found
    assert not recwarn.list
    with pytest.warns(DataWarning, match="length 40, .* of 2 is erased to one of -38.*'unit'"):
        unlearn_feature(Bars(), Direction(40 * torch.eye(6)[0], 1.0), config)
