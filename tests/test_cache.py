"""Values that the cache keeps: for which models, inputs and circumstances they are found again."""

import torch
from torch import nn

from forgetting.cache import cached
from forgetting.experiments.samples import cached_samples


def test_the_same_question_is_asked_once_and_another_again():
    model, x = nn.Linear(3, 1), torch.ones(2, 3)
    asked = []

    def ask():
        asked.append(1)
        return model(x).detach()

    first = cached([model], [x], "values", ask)
    assert torch.equal(cached([model], [x], "values", ask), first)
    assert len(asked) == 1
    cached([model], [x], "others", ask)
    cached([model], [x.double()], "values", ask)
    with torch.no_grad():
        model.bias.add_(1)
    assert torch.equal(cached([model], [x], "values", ask), model(x))
    assert len(asked) == 4
    cached([model], [x], "values", lambda: ask())  # in the same file: the same question
    assert len(asked) == 4
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    cached([model], [x], "values", ask)
    torch.set_num_threads(threads)
    assert len(asked) == 5
    for change in (
        {"temperature": 0.7},  # what a forward pass may use, and neither a weight nor a layer
        {"context": torch.zeros(2)},
        {"context": torch.ones(2)},
        {"training": False},
    ):
        before = len(asked)
        vars(model).update(change)
        for _ in range(2):
            cached([model], [x], "values", ask)
        assert len(asked) == before + 1
    model.settings = {"scale": 2}  # which cannot be known again
    before = len(asked)
    for _ in range(2):
        cached([model], [x], "values", ask)
    assert len(asked) == before + 2


def test_an_answer_that_cannot_be_kept_is_an_answer(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr("forgetting.cache.CACHE", tmp_path / "file")
    model, x = nn.Linear(3, 1).bfloat16(), torch.ones(2, 3, dtype=torch.bfloat16)
    assert torch.equal(cached([model], [x], "values", lambda: model(x).detach()), model(x))


def test_samples_that_are_kept_are_the_samples(glow):
    fresh = glow.sample(6, 0.7, torch.Generator().manual_seed(3))
    for _ in range(2):
        assert torch.equal(cached_samples(glow, 6, 0.7, 3), fresh)
    assert not torch.equal(cached_samples(glow, 6, 0.7, 4), fresh)
