"""The images with and without an attribute, and the looks at a model while it is tamed."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from forgetting.data import sources
from forgetting.data.faces import CELEBA_ATTRIBUTES, Faces
from forgetting.errors import DataError, ParameterError
from forgetting.experiments import attribute_images as module
from forgetting.experiments.attribute_images import load_attribute_images
from forgetting.experiments.context import Experiment, Parameters
from forgetting.experiments.control import tame_control
from forgetting.experiments.samples import cached_samples
from forgetting.experiments.watching import SampleWatch
from forgetting.methods.taming import TamingConfig, tame


class Brightness(nn.Module):
    """Shows "Male" where the left half is brighter than the middle grey, "Young" the right."""

    attributes = ("Young", "Male")

    def __init__(self):
        super().__init__()
        self.threshold = nn.Parameter(torch.tensor(0.5))

    def logits(self, images):
        left, right = images[..., : images.shape[-1] // 2], images[..., images.shape[-1] // 2 :]
        return torch.stack([x.mean((1, 2, 3)) for x in (right, left)], 1) - self.threshold


@pytest.fixture
def experiment():
    return Experiment("test", Parameters(seed=3))


def shows(images, *names):
    columns = [Brightness.attributes.index(name) for name in names]
    return Brightness().logits(images).detach()[:, columns] > 0


def planted(split):
    """Return 1200 faces of a split: every third is male, every second is young."""
    images = torch.full((1200, 3, 8, 8), 10 if split == "train" else 20, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.arange(1200) % 251
    labels = torch.zeros(1200, 40, dtype=torch.bool)
    labels[::3, CELEBA_ATTRIBUTES.index("Male")] = True
    labels[::2, CELEBA_ATTRIBUTES.index("Young")] = True
    return Faces(images, ("x",) * 1200, labels, CELEBA_ATTRIBUTES, "celeba")


def test_with_celeba_its_own_labels_count_and_held_out_people_are_unseen(
    glow, experiment, monkeypatch
):
    monkeypatch.setattr(sources, "has_data", lambda *names: names == ("celeba",))
    sizes = []

    def load(source, split, size):
        sizes.append(size)
        return planted(split)

    monkeypatch.setattr(module, "load_faces", load)
    found = load_attribute_images(experiment, "auto", glow, Brightness(), ["Male"])
    assert (found.source, sizes) == ("celeba", [8, 8])
    assert torch.equal(found.has_attribute, torch.arange(1200) % 3 == 0)
    assert torch.equal(found.images, planted("train").floats())
    assert torch.equal(found.showing, found.images[::3])
    assert len(found.lacking) == 800
    unseen = planted("held_out").floats()[torch.arange(1200) % 3 > 0]
    assert torch.equal(found.unseen, unseen)  # 800 of them: fewer than the most
    both = load_attribute_images(
        experiment, "celeba", glow, Brightness(), ["Young", "Male"], unseen_without=False
    )
    assert both.labels.shape == (1200, 2)
    assert torch.equal(both.labels[:, 0], torch.arange(1200) % 2 == 0)
    assert torch.equal(both.unseen, planted("held_out").floats()[:1000])
    neither = load_attribute_images(experiment, "celeba", glow, Brightness(), ["Young", "Male"])
    index = torch.arange(1200)
    lack = (index % 2 > 0) & (index % 3 > 0)
    assert torch.equal(neither.unseen, planted("held_out").floats()[lack])


def test_without_data_the_flow_draws_and_the_classifier_labels(glow, experiment):
    drawn = cached_samples(glow, 90, 1.0, experiment.seed("drawn"))
    found = load_attribute_images(
        experiment, "auto", glow, Brightness(), ["Male"], n_drawn=(60, 30)
    )
    assert found.source == "latent"
    assert torch.equal(found.images, drawn[:60])
    assert torch.equal(found.has_attribute, shows(drawn[:60], "Male")[:, 0])
    assert 0 < int(found.has_attribute.sum()) < 60
    assert torch.equal(found.unseen, drawn[60:][~shows(drawn[60:], "Male")[:, 0]])
    assert 0 < len(found.unseen) < 30


def test_two_streams_are_two_draws_and_columns_are_in_the_order_of_the_attributes(
    glow, experiment
):
    found = load_attribute_images(
        experiment,
        "latent",
        glow,
        Brightness(),
        ["Male", "Young"],
        n_drawn=(40, 20),
        streams=("one", "two"),
        unseen_without=False,
    )
    first, second = (
        cached_samples(glow, n, 1.0, experiment.seed(name))
        for name, n in (("one", 40), ("two", 20))
    )
    assert torch.equal(found.images, first)
    assert torch.equal(found.unseen, second)
    assert torch.equal(found.labels, shows(first, "Male", "Young"))
    assert not torch.equal(found.labels, shows(first, "Young", "Male"))


def test_what_is_not_at_hand_or_unknown_is_refused(glow, experiment):
    of_32 = SimpleNamespace(image_shape=(3, 32, 32))
    with pytest.raises(DataError, match="celeba is not on this machine"):
        load_attribute_images(experiment, "celeba", of_32, Brightness(), ["Male"])
    with pytest.raises(ParameterError, match="source = 'lfw' is not allowed"):
        load_attribute_images(experiment, "lfw", glow, Brightness(), ["Male"])


def watch(experiment, **options):
    """Watch a model whose weight is the number of its steps."""
    return SampleWatch(
        experiment,
        lambda model: model.weight.detach() * torch.ones(2),
        lambda images: {"mean": float(images.mean())},
        **options,
    )


def advance(callback, n):
    model = nn.Linear(1, 1, bias=False)
    for step in range(n + 1):
        nn.init.constant_(model.weight, step)
        callback({"step": step, "loss": -float(step), "mu": 0.5}, model)
    return model


def test_a_watch_looks_at_every_so_many_steps_and_at_the_last(experiment):
    found = watch(experiment, every=5, last_step=12, copied=["loss"], timer="looking")
    calls = []
    found._then = lambda row, model: calls.append(row["step"])
    advance(found, 12)
    assert [row["step"] for row in found.rows] == [0, 5, 10, 12]
    assert found.rows[1] == {"step": 5, "loss": -5.0, "mean": 5.0}
    assert calls == list(range(13))
    assert found.kept is None
    assert set(experiment.seconds) == {"seconds_looking"}
    without = watch(experiment, every=5)
    advance(without, 12)
    assert [row["step"] for row in without.rows] == [0, 5, 10]


def test_a_watch_ends_with_a_copy_of_the_model_of_that_step(experiment):
    found = watch(experiment, every=2, last_step=9, until=lambda row: row["mean"] >= 5)
    model = advance(found, 9)
    step, kept = found.kept
    assert (step, kept.weight.item(), model.weight.item()) == (6, 6.0, 9.0)
    assert not kept.training
    assert [row["step"] for row in found.rows] == [0, 2, 4, 6]
    never = watch(experiment, every=2, last_step=9, until=lambda row: False)
    advance(never, 9)
    assert never.kept[0] == 9


CONTROL = TamingConfig(lr=0.02, distance_scale=2, retain_batch_size=64)


def test_a_control_takes_as_many_steps_and_does_not_depend_on_what_is_forgotten(flow):
    points = flow.sample(400, 1)
    near = (points - flow.centres[0].detach()).norm(dim=1).argsort()
    forget, other, retain = points[near[:3]], points[near[3:6]], points[near[6:]]
    config = CONTROL.model_copy(update={"max_steps": 50})
    found = tame_control(flow, forget, retain, config, steps=20)
    assert found.history[-1]["step"] == 20
    assert "within" not in found.history[-1]  # no stopping rule
    same = tame_control(flow, other, retain, config, steps=20).model
    for one, two in zip(found.model.parameters(), same.parameters(), strict=True):
        torch.testing.assert_close(one, two)
    moved = [
        (one - two).abs().max().item()
        for one, two in zip(found.model.parameters(), flow.parameters(), strict=True)
    ]
    assert max(moved) > 1e-3  # it was tuned on what is retained
    tamed = tame(flow, forget, retain, config.model_copy(update={"max_steps": 20})).model
    with torch.no_grad():
        lost = [
            float((flow.log_prob(forget) - model.log_prob(forget)).mean())
            for model in (tamed, found.model)
        ]
    assert lost[0] > 10 * abs(lost[1])


def test_a_control_takes_the_steps_of_its_configuration_by_default(flow):
    points = flow.sample(100, 1)
    config = CONTROL.model_copy(update={"max_steps": 3})
    seen = []
    tame_control(
        flow, points[:2], points[2:], config, callback=lambda row, model: seen.append(row["step"])
    )
    assert seen == [0, 1, 2, 3]
