"""Images around a person: real, of latents, or in one photograph."""

import pytest
import torch
from colours import Colours

from forgetting.border.inference import generate
from forgetting.data import sources
from forgetting.data.faces import Faces, astronaut
from forgetting.errors import DataError, ParameterError
from forgetting.experiments import people
from forgetting.experiments.latent_people import LatentPeople
from forgetting.experiments.person_splits import (
    choose_forget_images,
    quantiles,
    similarity_filter,
)
from forgetting.experiments.real_people import RealPeople, _some_of_each, people_with_many


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


def person_a(seed=0):
    return RealPeople(*sets(), Colours(), 20).person("a", torch.Generator().manual_seed(seed))


def pixels(images):
    return {image.numpy().tobytes() for image in images}


def test_no_image_of_a_person_is_retained_and_no_reference_is_forgotten():
    train, _ = sets()
    person = person_a()
    of_person = pixels(train["lfw"].where(train["lfw"].of("a")).floats())
    forget = pixels(person.candidates)
    assert (person.name, person.showable) == ("a", False)
    assert len(person.candidates) == 15
    assert len(person.retain) == 60 + 72
    assert not pixels(person.retain) & of_person
    assert pixels(person.likelihood_reference) <= pixels(person.retain)
    for name, images in person.sets.items():
        measured = pixels(images)
        assert bool(measured & of_person) is (name == "reference"), name
        assert not measured & forget
    assert len(person.sets["nearest"]) == len(person.sets["neutral"]) == 50


def test_nearest_people_are_trained_on_and_neutral_and_held_out_people_are_not():
    train, held_out = sets()
    person = person_a()
    trained = pixels(train["lfw"].floats()) | pixels(train["celeba"].floats())
    unseen = pixels(held_out["lfw"].floats()) | pixels(held_out["celeba"].floats())
    assert pixels(person.sets["nearest"]) <= trained
    assert pixels(person.sets["random"]) <= trained
    assert pixels(person.sets["neutral"]) <= pixels(held_out["lfw"].floats())
    assert pixels(person.sets["held_out"]) <= unseen
    assert len(person.sets["held_out"]) == 10


def test_the_nearest_people_are_those_whose_faces_are_most_similar():
    train, held_out = sets()
    lfw, colours = train["lfw"], Colours()
    tinted = lfw.images.clone()
    for name, share in (("a", 1.0), ("c", 0.9), ("d", 0.8), ("e", 0.7), ("f", 0.6), ("g", 0.5)):
        tinted[lfw.of(name), 1:] = 0  # all but b have little but red
        tinted[lfw.of(name), 0] = (255 * share) // 1
    train["lfw"] = Faces(tinted, lfw.people, lfw.labels, (), "lfw")
    person = RealPeople(train, held_out, colours, 20).person("a", torch.Generator())
    assert float(person.sets["nearest"][:, 1:].abs().max()) == 0


def test_a_person_with_too_few_photographs_is_refused_with_those_who_have_enough():
    with pytest.raises(DataError, match=r"12 photographs of 'b'; 25 are needed\. There are: a"):
        RealPeople(*sets(), Colours(), 20).person("b", torch.Generator())


def test_people_with_many_photographs_are_counted_with_most_first():
    assert people_with_many(faces({"a": 3, "c": 5, "b": 5, "d": 2}), 3) == ["b", "c", "a"]


def test_a_person_of_latents_is_the_same_every_time_and_unlike_its_neighbours(glow):
    def made(number):
        return LatentPeople(glow, Colours(), 0.3, 0.7).person(number, 40, 10)

    first, again, other = made(0), made(0), made(1)
    assert torch.equal(first.candidates, again.candidates)
    assert torch.equal(first.sets["nearest"], again.sets["nearest"])
    assert not torch.equal(first.candidates, other.candidates)
    retained = pixels(first.retain)
    for unseen in (first.sets["held_out"], first.likelihood_reference):
        assert not pixels(unseen) & retained
    centre = first.candidates.mean(0)
    own = (first.sets["reference"] - centre).abs().mean()
    assert own < (first.sets["neutral"] - centre).abs().mean()


def test_images_of_a_latent_person_are_decoded_around_its_centre(glow):
    """The centre and the noise of person 1 are the first draws of seed 20,000."""
    person = LatentPeople(glow, Colours(), 0.6, 0.7).person(1, 40, 10)
    generator = torch.Generator().manual_seed(20_000)
    centre = torch.randn(1, glow.latent_dim, generator=generator)
    noise = torch.randn(45, glow.latent_dim, generator=generator)
    expected = glow.quantise(generate(glow, 0.7 * (0.8 * centre + 0.6 * noise)))
    assert torch.equal(torch.cat([person.candidates, person.sets["reference"]]), expected)
    assert [len(images) for images in person.sets.values()] == [30, 40, 50, 50, 5]
    assert (len(person.retain), len(person.likelihood_reference)) == (40, 10)
    assert torch.equal(person.others, (person.retain * 255).round().byte())


def test_a_photograph_among_latents_replaces_the_person_and_nothing_else(glow):
    latents, photograph = LatentPeople(glow, Colours(), 0.3, 0.7), torch.rand(1, 3, 8, 8)
    latent = latents.person(0, 40, 10)
    person = latents.with_photograph(latent, 0, photograph, "somebody")
    assert (person.name, person.showable) == ("somebody", True)
    assert torch.equal(person.candidates, photograph)
    assert torch.equal(person.sets["reference"], photograph.flip(3))
    assert torch.equal(person.retain, latent.retain)
    for name in ("random", "neutral", "held_out"):
        assert torch.equal(person.sets[name], latent.sets[name])


def test_a_photograph_has_its_own_nearest_people(glow):
    sets, photograph = {}, None
    for source in ("latent", "photograph"):
        person = people.load_person_splits(
            source, "", glow, Colours(), 10, torch.Generator(), n_retain=40
        )
        sets[source], photograph = person.sets, person.candidates
    assert torch.equal(sets["photograph"]["reference"], photograph.flip(3))
    assert torch.equal(sets["photograph"]["neutral"], sets["latent"]["neutral"])
    similarity = {
        name: (Colours()(images["nearest"]) @ Colours()(photograph).T).mean().item()
        for name, images in sets.items()
    }
    assert similarity["photograph"] > similarity["latent"]


def test_among_real_faces_a_photograph_is_all_that_there_is_of_its_person():
    train, held_out = sets()
    photograph = astronaut(train["lfw"].images.shape[-1])
    generator = torch.Generator().manual_seed(0)
    person = RealPeople(train, held_out, Colours(), 20).photographed(
        photograph, "somebody", generator
    )
    assert torch.equal(person.candidates, photograph)
    assert torch.equal(person.sets["reference"], photograph.flip(3))
    assert len(person.retain) == 60 + 102  # nobody is taken out
    assert len(person.sets["nearest"]) == len(person.sets["neutral"]) == 50
    assert (person.name, person.showable) == ("somebody", True)
    assert len(choose_forget_images(person, 1, torch.tensor([0.9]))) == 1


def test_a_single_image_to_forget_is_the_first_ordinary_one():
    person = person_a()
    some = torch.tensor([0.9, 0.1, 0.5, 0.45] + [0.9] * 11)
    assert torch.equal(choose_forget_images(person, 1, some), person.candidates[2:3])
    assert torch.equal(choose_forget_images(person, 4, some), person.candidates[:4])
    extreme = torch.tensor([0.9, 0.7] + [0.99] * 13)
    assert torch.equal(choose_forget_images(person, 1, extreme), person.candidates[1:2])
    with pytest.raises(DataError, match="16 images to forget, but 15"):
        choose_forget_images(person, 16, some)
    for n in (0, -4):
        with pytest.raises(ParameterError, match="a whole number of at least 1"):
            choose_forget_images(person, n, some)


def test_few_of_the_others_are_similar_to_a_person():
    person = person_a()
    assert len(person.others) == 40 + 66  # all that neither the flow nor taming has seen
    is_similar = similarity_filter(person, Colours(), share=0.1)
    assert 10 <= int(is_similar(person.others.float() / 255).sum()) <= 11
    assert is_similar(person.candidates.mean(0, keepdim=True)).all()


def test_which_image_is_ordinary_depends_on_no_seed(glow):
    first, second = person_a(0), person_a(1)
    assert not torch.equal(first.likelihood_reference, second.likelihood_reference)
    assert torch.equal(quantiles(first, glow), quantiles(second, glow))


@pytest.mark.parametrize(
    ("source", "at_hand", "who"),
    [
        ("auto", True, "real a"),
        ("auto", False, "latent 0"),
        ("lfw", True, "real a"),
        ("latent", True, "latent 0"),
        ("photograph", True, "photograph of the astronaut"),
        ("photograph", False, "the astronaut"),
    ],
)
def test_a_source_gives_the_person_that_it_names(source, at_hand, who, monkeypatch, glow):
    for module in (sources, people):
        monkeypatch.setattr(module, "has_data", lambda *_: at_hand)
    monkeypatch.setattr(people, "load_faces", lambda *_: faces({"a": 30, "b": 26}))
    monkeypatch.setattr(RealPeople, "person", lambda _, name, __: f"real {name}")
    monkeypatch.setattr(
        RealPeople, "photographed", lambda _, __, name, ___: f"photograph of {name}"
    )
    person = people.load_person_splits(
        source, "", glow, Colours(), 10, torch.Generator(), n_retain=40
    )
    assert getattr(person, "name", person) == who


def test_a_photograph_is_not_of_the_person_who_is_named(monkeypatch, glow):
    for module in (sources, people):
        monkeypatch.setattr(module, "has_data", lambda *_: True)
    monkeypatch.setattr(people, "load_faces", lambda *_: faces({"a": 30, "b": 26}))
    with pytest.raises(ParameterError, match="person = 'a': the photograph shows the astronaut"):
        people.load_person_splits("photograph", "a", glow, Colours(), 10, torch.Generator())


def test_without_lfw_a_person_is_a_number(glow):
    with pytest.raises(DataError, match="person = 'somebody': without LFW"):
        people.load_person_splits("auto", "somebody", glow, Colours(), 10, torch.Generator())


def test_without_enough_photographs_of_anybody_lfw_is_refused(monkeypatch, glow):
    few = faces({"a": 4})
    monkeypatch.setattr(people, "load_faces", lambda *_: few)
    with pytest.raises(DataError, match="Nobody in LFW's training part has the"):
        people.load_person_splits("lfw", "", glow, Colours(), 20, torch.Generator())
    with pytest.raises(DataError, match="Nobody else in a part of LFW"):
        _some_of_each(few, [])
