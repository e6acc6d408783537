"""Copies compute with themselves alone, whatever kind of module the model is, or are refused."""

import copy
import threading
import types

import pytest
import torch
from bars import Bars
from kinds import POINTS, REFUSED, WORKING, Density, Holder
from torch import nn

import forgetting as fg
from forgetting.border.contracts import mean_bits_per_dim
from forgetting.border.copies import averaged_copy, free_weights, frozen_copy, tunable_copy
from forgetting.border.inference import generate
from forgetting.errors import ModelError, TrainingError
from forgetting.methods.taming import tame
from forgetting.methods.taming_config import TamingConfig
from forgetting.metrics.likelihood import compare

SHORT = TamingConfig(max_steps=2, n_statistics=4, lr=0.01)


def state(model):
    """Return all that a caller may notice of a model."""
    tensors = [*model.parameters(), *model.buffers()]
    return (
        [tensor.detach().clone() for tensor in tensors],
        [tensor.requires_grad for tensor in tensors],
        [None if tensor.grad is None else tensor.grad.clone() for tensor in tensors],
        [(module.training, len(module._forward_hooks)) for module in model.modules()],
    )


def assert_same(before, after):
    torch.testing.assert_close(before[0], after[0], rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(before[2], after[2], rtol=0, atol=0)
    assert before[1::2] == after[1::2]


@pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated", "ignore:.*spectral_norm")
@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize("kind", WORKING)
def test_a_copy_is_tuned_and_the_model_in_training_mode_is_as_it_was(kind):
    model = kind(Density().train())
    before = state(model)
    result = tame(model, POINTS[:2], POINTS[2:], SHORT)
    assert_same(before, state(model))
    start = {name: p.float() for name, p in model.named_parameters()}
    moved = [
        float((p - start[name]).detach().abs().max())
        for name, p in result.model.named_parameters()
        if p.is_floating_point() and not name.startswith("other.bias")
    ]
    assert min(moved) > 1e-4
    assert not result.model.training
    assert not free_weights(result.model)
    assert all(
        p.dtype == torch.float32 for p in result.model.parameters() if p.is_floating_point()
    )


@pytest.mark.parametrize("kind", REFUSED)
def test_a_function_that_holds_the_model_is_refused_and_has_touched_nothing(kind):
    model = kind(Density()).train()
    before = state(model)
    for call in (
        lambda: tame(model, POINTS[:2], POINTS[2:], SHORT),
        lambda: compare(model, model, {}, POINTS),
    ):
        with pytest.raises(ModelError, match="computes with a tensor of the model itself"):
            call()
        assert_same(before, state(model))


class Shares(Density):
    """Its copies share its network."""

    def __deepcopy__(self, memo):
        other = Density()
        other.net = self.net
        return other


class SharesDropout(Density):
    def __deepcopy__(self, memo):
        other = Density()
        other.net[3] = self.net[3]
        return other


class Itself(Density):
    def __deepcopy__(self, memo):
        return self


class Anew(Density):
    """Its copies are made anew, with weights of their own."""

    def __deepcopy__(self, memo):
        other = Anew()
        next(other.parameters()).data += 1
        return other


def test_a_copy_with_other_weights_than_the_model_is_refused():
    with pytest.raises(ModelError, match="other weights or buffers than the model"):
        tame(Anew(), POINTS[:2], POINTS[2:], SHORT)


@pytest.mark.parametrize("kind", [Shares, SharesDropout, Itself])
def test_a_copy_that_shares_parts_with_the_model_is_refused(kind):
    model = kind().train()
    before = state(model)
    with pytest.raises(ModelError, match="shares weights or modules with the model"):
        tame(model, POINTS[:2], POINTS[2:], SHORT)
    assert_same(before, state(model))


def test_what_cannot_be_copied_is_refused_in_a_sentence():
    locked, lazy = Density(), Density()
    locked.lock = threading.Lock()
    lazy.late = nn.LazyLinear(2)
    with pytest.raises(ModelError, match=r"Density cannot be copied \(TypeError: .*lock"):
        frozen_copy(locked)
    with pytest.raises(ModelError, match="weights without values: call it once"):
        frozen_copy(lazy)
    with pytest.raises(ModelError, match=r"the class Density: give an instance"):
        tame(Density, POINTS[:2], POINTS[2:], SHORT)
    with pytest.raises(ModelError, match=r"Holder is no torch\.nn\.Module: .*`as_flow`"):
        tame(Holder(Density()), POINTS[:2], POINTS[2:], SHORT)


class Hidden(nn.Module):
    """Computes with modules in a plain list, and with one weight of its own."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.hidden = [Density().train()]

    def log_prob(self, x):
        return self.scale * self.hidden[0](x)


def test_modules_in_a_plain_list_are_evaluated_in_evaluation_mode():
    model = Hidden().train()
    known = copy.deepcopy(model)
    known.hidden[0].eval()
    before = state(model.hidden[0])
    comparison = compare(model, model, {"all": POINTS}, POINTS)
    assert_same(before, state(model.hidden[0]))
    torch.testing.assert_close(comparison.before["all"], mean_bits_per_dim(known, POINTS, 5))


def test_weights_that_a_module_does_not_list_are_not_tuned_in_silence():
    model = Hidden()
    with pytest.raises(ModelError, match="not among its `parameters"):
        tame(model, POINTS[:2], POINTS[2:], SHORT)
    model.hidden[0].requires_grad_(False)  # a fixed part
    assert tame(model, POINTS[:2], POINTS[2:], SHORT).model.scale != 1


def test_a_closure_over_another_models_free_weights_is_refused():
    other, model = Density(), Density()
    model.log_prob = types.MethodType(lambda self, x: self(x) + other.eval()(x), model)
    with pytest.raises(ModelError, match="not among its `parameters"):
        tame(model, POINTS[:2], POINTS[2:], SHORT)
    assert all(p.grad is None for p in other.parameters())
    other.requires_grad_(False)
    tame(model, POINTS[:2], POINTS[2:], SHORT)


def test_a_tensor_from_elsewhere_that_a_call_changes_is_put_back():
    count, model = torch.zeros(1), Density()
    model.log_prob = types.MethodType(lambda self, x: self(x) + 0 * count.add_(1), model)
    with pytest.raises(ModelError, match="changes a tensor that is no part of it"):
        tame(model, POINTS[:2], POINTS[2:], SHORT)
    assert count == 0


def test_frozen_weights_stay_frozen_unless_all_are():
    model = Density()
    model.net[0].requires_grad_(False)
    tuned = tame(model, POINTS[:2], POINTS[2:], SHORT).model
    assert torch.equal(tuned.net[0].weight, model.net[0].weight)
    assert not torch.equal(tuned.net[4].weight, model.net[4].weight)
    model.requires_grad_(False)
    tuned = tame(model, POINTS[:2], POINTS[2:], SHORT).model
    assert not torch.equal(tuned.net[0].weight, model.net[0].weight)


def test_only_the_part_that_is_picked_is_tuned_and_it_must_be_of_the_copy():
    model = Density()
    part = tunable_copy(model, lambda duplicate: duplicate.net[4])
    assert {id(p) for p in free_weights(part)} == {id(p) for p in part.net[4].parameters()}
    with pytest.raises(ModelError, match="must use its argument"):
        tunable_copy(model, lambda duplicate: model.net[4])
    with pytest.raises(ModelError, match="`trainable` returns list"):
        tunable_copy(model, lambda duplicate: list(duplicate.net))
    with pytest.raises(ModelError, match="Tanh has no weights that can be tuned"):
        tunable_copy(model, lambda duplicate: duplicate.net[2])
    with pytest.raises(ModelError, match="`trainable` fails on a copy of Density"):
        tunable_copy(model, lambda duplicate: duplicate.decoder)
    assert all(p.requires_grad for p in model.parameters())


def test_a_model_left_in_training_mode_is_compared_in_evaluation_mode():
    """Batch norm and dropout in training mode would shift likelihoods where nothing changed."""
    base, tamed = Density().train(), Density().eval()
    before = state(base)
    comparison = compare(base, tamed, {"all": POINTS}, POINTS)
    assert_same(before, state(base))
    assert comparison.shift("all") == (0, 0, 0)


def test_a_model_that_was_made_in_inference_mode_is_tuned():
    with torch.inference_mode():
        model = Density()
    tuned = tame(model, POINTS[:2], POINTS[2:], SHORT).model
    assert not torch.equal(tuned.net[0].weight, model.net[0].weight)


def test_a_generator_in_training_mode_is_sampled_in_evaluation_mode():
    class Normed(Density):
        latent_dim = 2

        def forward(self, z):
            return self.net(z)[:, :, None, None]

    generator = Normed().train()
    known = copy.deepcopy(generator).eval()
    before = state(generator)
    images = generate(generator, POINTS)
    assert_same(before, state(generator))
    torch.testing.assert_close(images, known(POINTS).detach())


def test_a_result_is_in_evaluation_mode_whatever_a_callback_did():
    result = tame(
        Density(), POINTS[:2], POINTS[2:], SHORT, callback=lambda _, model: model.train()
    )
    assert not result.model.training


def doubled(module, images, answer):
    return 2 * answer


@pytest.mark.parametrize(
    "disturb",
    [
        lambda model: model.net[-1].register_forward_hook(doubled),
        lambda model: model.net[0].register_forward_pre_hook(lambda module, given: None),
        lambda model: setattr(model.net, "forward", torch.zeros_like),
        lambda model: setattr(model, "net", nn.Sequential(*model.net, nn.ReLU())),
    ],
)
def test_a_callback_that_changes_what_the_tuned_copy_computes_is_refused(disturb):
    sets = (Density(), POINTS[:2], POINTS[2:], SHORT)
    tame(*sets, callback=lambda _, model: model.net[-1].register_forward_hook(doubled).remove())
    with pytest.raises(TrainingError, match=r"a hook, or replaced a module or its `forward`.*net"):
        tame(*sets, callback=lambda _, model: disturb(model))


def test_averaging_goes_from_the_first_models_weights_to_the_seconds():
    first, second = nn.Linear(2, 1), nn.Linear(2, 1)
    half = averaged_copy(first, second, 0.5)
    torch.testing.assert_close(half.weight, (first.weight + second.weight) / 2)
    torch.testing.assert_close(averaged_copy(first, second, 0.0).weight, first.weight.data)
    assert half is not first


class Hiding(nn.Module):
    """A generator in evaluation mode with a layer in a plain list, which `eval` does not reach."""

    latent_dim = 6

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 16)
        self.hidden = [nn.BatchNorm1d(16)]

    def forward(self, z):
        return torch.sigmoid(self.hidden[0](self.layer(z))).view(-1, 1, 4, 4)


def test_images_are_made_in_evaluation_mode_by_layers_in_plain_lists_too():
    model, z = Hiding().eval(), torch.randn(9, 6)
    torch.testing.assert_close(generate(model, z)[:2], generate(model, z[:2]))
    assert model.hidden[0].training
    assert model.hidden[0].num_batches_tracked == 0


class MadeAtFirstCall(Bars):
    """Makes its last layer when it is first called, as some modules of unknown sizes do."""

    def __init__(self):
        super().__init__()
        self.last = None

    def forward(self, z):
        self.last = self.last or nn.Conv2d(1, 1, 1)
        return torch.sigmoid(self.last(super().forward(z)))


def test_weights_that_a_first_call_makes_are_not_measured():
    def light(images):
        return images.mean((1, 2, 3))

    generator = MadeAtFirstCall()
    with pytest.raises(ModelError, match="makes weights at its first call, which are random"):
        fg.prevalence(generator, light, threshold=0.5, n=10)
    generator(torch.zeros(1, 6))
    assert fg.prevalence(generator, light, threshold=0.5, n=10).n == 10
