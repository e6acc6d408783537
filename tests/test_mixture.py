"""Which data set samples look like: two planted data sets are told apart, and so are samples."""

import pytest
import torch

from forgetting.experiments import mixture
from forgetting.experiments.person_splits import PersonSplits
from forgetting.metrics.likelihood import Comparison, LikelihoodReference


def faces(n, level, seed):
    """Return uint8 faces that are as bright as a level, with noise."""
    noise = torch.randn(n, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return (255 * (level + 0.1 * noise).clamp(0, 1)).byte()


def features(images):
    images = images.float() / (255 if images.dtype == torch.uint8 else 1)
    return images.flatten(1)


def person(**unseen):
    some = torch.rand(4, 3, 4, 4)
    return PersonSplits("somebody", False, some, some, {}, some, unseen)


def generator():
    return torch.Generator().manual_seed(3)


BOTH = {"celeba": faces(90, 0.3, 0), "lfw": faces(60, 0.7, 1)}


def test_the_share_of_samples_that_look_like_one_data_set_is_counted(monkeypatch):
    monkeypatch.setattr(mixture, "has_face_api", lambda: False)
    samples = {
        "before": torch.cat([faces(30, 0.3, 2), faces(10, 0.7, 3)]).float() / 255,
        "after": torch.cat([faces(10, 0.3, 4), faces(30, 0.7, 5)]).float() / 255,
    }
    metrics = mixture.mixture_metrics(person(**BOTH), samples, features, generator())
    assert metrics["mixture_auc"] == 1
    assert metrics["like_lfw_before"] == pytest.approx(0.25)
    assert metrics["like_lfw_after"] == pytest.approx(0.75)
    assert not [name for name in metrics if name.startswith("fid")]


def test_data_sets_that_are_alike_are_not_told_apart():
    alike = {"celeba": faces(200, 0.5, 0), "lfw": faces(200, 0.5, 1)}
    classifier = mixture.DataSetClassifier(alike, features, generator())
    assert classifier.auc.low < 0.5 < classifier.auc.high


def test_a_flows_own_faces_have_no_mixture():
    own = person(samples=faces(40, 0.5, 0))
    assert mixture.mixture_metrics(own, {"before": torch.rand(4, 3, 4, 4)}, features, None) == {}
    assert list(mixture.unseen_sets(own, generator())) == ["samples"]


def test_unseen_faces_of_each_data_set_have_a_shift_and_a_drop():
    sets = mixture.unseen_sets(person(**BOTH), generator())
    assert {name: len(images) for name, images in sets.items()} == {"celeba": 90, "lfw": 60}
    before = {name: torch.linspace(2, 4, len(images)) for name, images in sets.items()}
    after = {"celeba": before["celeba"], "lfw": before["lfw"] + 0.5}
    reference = LikelihoodReference(3.0, 0.5)
    metrics = mixture.data_set_metrics(Comparison(before, after, reference, reference), sets)
    assert metrics["shift_celeba_sigma"] == 0
    assert metrics["shift_lfw_sigma"] == pytest.approx(1)
    assert metrics["quantile_drop_lfw"] > 0.2 > metrics["quantile_drop_celeba"] == 0
