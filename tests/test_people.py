"""Sets around a person, answers that are kept, and means over people."""

import math

import pandas as pd
import pytest
import torch
from torch import nn

from forgetting.book.tables import (
    extremes,
    over_people,
    over_runs,
    over_seeds,
    standard_deviations,
    summarise,
)
from forgetting.cache import cached
from forgetting.data.faces import Faces, astronaut
from forgetting.errors import DataError
from forgetting.experiments import person_splits as people
from forgetting.experiments.samples import cached_samples


class Colours(nn.Module):
    """An embedding that knows a person by the mean colour."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(3))

    def forward(self, images):
        return nn.functional.normalize(images.mean((2, 3)) * self.gain, dim=1)


def faces(counts, source="lfw"):
    names = [name for name, n in counts.items() for _ in range(n)]
    generator = torch.Generator().manual_seed(len(names))
    images = torch.randint(0, 256, (len(names), 3, 8, 8), generator=generator)
    return Faces(images.byte(), tuple(names), torch.zeros(len(names), 0).bool(), (), source)


def sets():
    train = {
        "celeba": faces({"x": 60}, "celeba"),
        "lfw": faces({"a": 30} | dict.fromkeys("bcdefg", 12)),
    }
    held_out = {"celeba": faces({"y": 40}, "celeba"), "lfw": faces(dict.fromkeys("hijklm", 11))}
    return train, held_out


def test_no_image_of_a_person_is_retained_and_no_reference_is_forgotten():
    train, held_out = sets()
    person = people.real_person("a", train, held_out, Colours(), 20, torch.Generator())
    mine = {image.numpy().tobytes() for image in train["lfw"].where(train["lfw"].of("a")).floats()}
    forget = {image.numpy().tobytes() for image in person.candidates}
    assert len(person.candidates) == 15
    assert len(person.retain) == 60 + 72
    for name, images in person.sets.items():
        found = {image.numpy().tobytes() for image in images}
        assert bool(found & mine) is (name == "reference"), name
        assert not found & forget
    assert len(person.sets["nearest"]) == len(person.sets["neutral"]) == 50


def test_a_person_with_too_few_photographs_is_refused_with_those_who_have_enough():
    with pytest.raises(DataError, match="12 photographs of 'b'; 25 are needed"):
        people.real_person("b", *sets(), Colours(), 20, torch.Generator())


def test_a_person_of_latents_is_the_same_every_time_and_unlike_its_neighbours(glow):
    def made(number):
        return people.latent_person(number, glow, Colours(), 0.3, 0.7, 40, 10)

    first, again, other = made(0), made(0), made(1)
    assert torch.equal(first.candidates, again.candidates)
    assert torch.equal(first.sets["nearest"], again.sets["nearest"])
    assert not torch.equal(first.candidates, other.candidates)
    cached_bits_per_dim = {image.numpy().tobytes() for image in first.retain}
    for unseen in (first.sets["held_out"], first.likelihood_reference):
        assert not {image.numpy().tobytes() for image in unseen} & cached_bits_per_dim
    centre = first.candidates.mean(0)
    own = (first.sets["reference"] - centre).abs().mean()
    assert own < (first.sets["neutral"] - centre).abs().mean()


def test_a_photograph_has_its_own_nearest_people(glow):
    sets, photograph = {}, None
    for source in ("latent", "photograph"):
        person = people.load_person_splits(
            source, "", glow, Colours(), 10, torch.Generator(), n_retain=40
        )
        sets[source], photograph = person.sets, person.candidates
    assert torch.equal(sets["photograph"]["reference"], photograph.flip(3))
    assert torch.equal(sets["photograph"]["neutral"], sets["latent"]["neutral"])
    like = {
        name: (Colours()(found["nearest"]) @ Colours()(photograph).T).mean().item()
        for name, found in sets.items()
    }
    assert like["photograph"] > like["latent"]


def test_among_real_faces_a_photograph_is_all_that_there_is_of_its_person():
    train, held_out = sets()
    photograph = astronaut(train["lfw"].images.shape[-1])
    person = people.photographed(
        photograph, train, held_out, Colours(), 20, torch.Generator().manual_seed(0)
    )
    assert torch.equal(person.candidates, photograph)
    assert torch.equal(person.sets["reference"], photograph.flip(3))
    assert len(person.retain) == 60 + 102  # nobody is taken out
    assert len(person.sets["nearest"]) == len(person.sets["neutral"]) == 50
    assert person.showable
    assert len(people.choose_forget_images(person, 1, torch.tensor([0.9]))) == 1


def test_alone_the_first_ordinary_image_is_forgotten():
    train, held_out = sets()
    person = people.real_person("a", train, held_out, Colours(), 20, torch.Generator())
    quantiles = torch.tensor([0.9, 0.1, 0.5, 0.45] + [0.9] * 11)
    assert torch.equal(people.choose_forget_images(person, 1, quantiles), person.candidates[2:3])
    assert torch.equal(people.choose_forget_images(person, 4, quantiles), person.candidates[:4])
    extreme = torch.tensor([0.9, 0.7] + [0.99] * 13)
    assert torch.equal(people.choose_forget_images(person, 1, extreme), person.candidates[1:2])
    with pytest.raises(DataError, match="16 images to forget, but 15"):
        people.choose_forget_images(person, 16, quantiles)


def test_near_a_person_is_what_few_of_the_others_are():
    train, held_out = sets()
    person = people.real_person("a", train, held_out, Colours(), 20, torch.Generator())
    assert len(person.others) == 40 + 66  # all that neither the flow nor taming has seen
    similarity_filter = people.similarity_filter(person, Colours(), share=0.1)
    assert 10 <= int(similarity_filter(person.others.float() / 255).sum()) <= 11
    assert similarity_filter(person.candidates.mean(0, keepdim=True)).all()


def test_which_image_is_ordinary_is_no_matter_of_a_seed(glow):
    train, held_out = sets()
    first, second = (
        people.real_person("a", train, held_out, Colours(), 20, torch.Generator().manual_seed(i))
        for i in range(2)
    )
    assert not torch.equal(first.likelihood_reference, second.likelihood_reference)
    assert torch.equal(people.quantiles(first, glow), people.quantiles(second, glow))


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


def test_without_enough_photographs_of_anybody_lfw_is_refused(monkeypatch, glow):
    few = faces({"a": 4})
    monkeypatch.setattr(people, "has_faces", lambda *_: True)
    monkeypatch.setattr(people, "load_faces", lambda *_: few)
    with pytest.raises(DataError, match="Nobody in LFW's training part has the"):
        people.load_person_splits("lfw", "", glow, Colours(), 20, torch.Generator())
    with pytest.raises(DataError, match="Nobody else in a part of LFW"):
        people._some_of_each(few, [])


def test_samples_that_are_kept_are_the_samples(glow):
    fresh = glow.sample(6, 0.7, torch.Generator().manual_seed(3))
    for _ in range(2):
        assert torch.equal(cached_samples(glow, 6, 0.7, 3), fresh)
    assert not torch.equal(cached_samples(glow, 6, 0.7, 4), fresh)


def test_an_interval_is_over_people_not_over_their_seeds():
    rows = [(name, seed, value + seed) for name, value in (("a", 0), ("b", 2)) for seed in (0, 1)]
    table = pd.DataFrame(rows, columns=["person", "seed", "drop"])
    mean, low, high = over_people(table, "drop")
    assert mean == 1.5
    assert high - mean == pytest.approx(
        12.706, abs=1e-3
    )  # t of one degree of freedom, sd of means 1.414 / sqrt 2
    assert (mean - low) == pytest.approx(high - mean)
    assert standard_deviations(table, "drop") == pytest.approx((2**0.5, 0.5**0.5))
    one, *ends = over_people(table[table.person == "a"], "drop")
    assert one == 0.5
    assert all(map(math.isnan, ends))


def test_a_share_of_few_images_stays_uncertain_where_all_runs_agree():
    alike = pd.DataFrame({"hit": [1.0, 1.0], "hit_low": [0.96, 0.98], "hit_high": [1.0, 1.0]})
    assert over_runs(alike, "hit") == (1.0, pytest.approx(0.97), 1.0)
    assert over_runs(alike[:1], "hit") == (1.0, 0.96, 1.0)
    apart = pd.DataFrame({"hit": [0.3, 0.31], "hit_low": [0.29, 0.3], "hit_high": [0.31, 0.32]})
    assert over_runs(apart, "hit") == pytest.approx(over_seeds(apart, "hit"))
    far = pd.DataFrame({"hit": [0.2, 0.4], "hit_low": [0.1, 0.3], "hit_high": [0.3, 0.5]})
    assert over_runs(far, "hit") == (pytest.approx(0.3), 0.0, 1.0)


def test_a_summary_says_what_is_known_and_no_more():
    table = pd.DataFrame({"drop": [1.0, 3.0], "steps": [7.0, 7.0], "gone": [1.0, None]})
    columns = {name: (name.upper(), "{:.1f}") for name in ("drop", "steps", "gone", "absent")}
    parts = {"both, of them": table, "one": table[:1]}
    has_feature, figures = summarise(parts, columns, over_seeds)
    assert list(has_feature.loc["one"]) == ["1.0", "7.0", "1.0", "–"]
    assert list(has_feature.loc["both, of them"])[1:] == ["7.0", "–", "–"]
    assert (
        has_feature.loc["both, of them", "DROP"] == "2.0 (-10.7 to 14.7)"
    )  # t of one degree, 12.706
    assert figures["drop_both_of_them_high"] == pytest.approx(14.706, abs=1e-3)
    assert not {"drop_one_low", "gone_both_of_them"} & set(figures)
    assert (
        summarise(parts, columns, extremes)[0].loc["both, of them", "DROP"] == "2.0 (1.0 to 3.0)"
    )
