"""Every function of the front door works with oddities for its arguments, or says one sentence."""

import inspect

import pytest
import torch
from bars import Bars, Eyes, width
from fuzzing import fuzzed, odd, survives
from hypothesis import given
from hypothesis import strategies as st
from points import Gaussian
from torch import nn

import forgetting as fg
from forgetting.methods.direction import LabelledLatents
from forgetting.methods.feature_unlearning import UnlearningConfig

DRAWS = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
POINTS = torch.randn(200, 2, generator=torch.Generator().manual_seed(1))
IMAGES = torch.rand(64, 1, 32, 32, generator=torch.Generator().manual_seed(2))


class Crooked(nn.Module):
    """Gives something else than what is asked for."""

    latent_dim = 6

    def __init__(self, answer):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.answer = answer

    def forward(self, latents):
        return self.answer(latents * self.weight)

    log_prob = logits = forward


class Strange(nn.Module):
    """Has a latent dimension that is none."""

    latent_dim = "six"

    def forward(self, latents):
        return latents


def crooked_answers():
    return (
        lambda z: z,
        lambda z: None,
        lambda z: z.flatten(1).sum(1) * float("nan"),
        lambda z: z[:1],
        lambda z: [z],
        lambda z: 1 / 0,
        lambda z: z.detach().flatten(1).sum(1),
        lambda z: z.flatten(1)[:, :1, None, None].expand(-1, 1, 32, 32),
    )


tensors = st.sampled_from(
    [
        *(
            IMAGES,
            IMAGES[:0],
            IMAGES[:1],
            255 * IMAGES,
            IMAGES[0],
            IMAGES * torch.nan,
            IMAGES.double(),
        ),
        *(
            IMAGES.int(),
            IMAGES - 3,
            IMAGES[:, :, :0],
            IMAGES / 255,
            IMAGES > 0.5,
            POINTS,
            POINTS[:1],
        ),
        *(
            POINTS * torch.inf,
            DRAWS,
            DRAWS[0],
            torch.tensor(1.0),
            torch.zeros(0),
            torch.zeros(3, 0),
        ),
        *(
            IMAGES.to_sparse(),
            torch.zeros(2, 2, dtype=torch.complex64),
            torch.empty(2, device="meta"),
        ),
    ]
)

modules = st.one_of(
    st.builds(lambda answer: Crooked(answer), st.sampled_from(crooked_answers())),
    st.sampled_from(
        [nn.Identity(), nn.Linear(2, 2), nn.Sequential(), nn.Module(), Strange(), Bars]
    ),
    st.just(Bars()),
    st.just(Gaussian()),
)

functions = st.sampled_from(
    [width, len, print, lambda *_: None, lambda *_: 1 / 0, lambda images: images, torch.sum, float]
)

anything = odd | tensors | modules | functions

LABELLED = LabelledLatents(DRAWS[:20], DRAWS[20:])

SQUINTING = Eyes(2.0, 0.5)

USUAL = {
    "as_classifier": {"module": Bars(), "attributes": ("wide", "right")},
    "as_flow": {"module": Gaussian()},
    "as_generator": {"module": Bars(), "latent_dim": 6},
    "audit": {
        "before": Bars(),
        "after": Bars(),
        "feature": width,
        "grader": lambda images: SQUINTING.logits(images)[:, 0],
        "n": 100,
        "n_attacked": 2,
        "steps": 1,
    },
    "collect_latents": {"generator": Bars(), "score": width, "n": 200},
    "find_direction": {"labelled": LABELLED},
    "list_models": {},
    "load": {"name": "digits-vae"},
    "load_images": {"folder": "nowhere"},
    "prevalence": {"generator": Bars(), "score": width, "threshold": 10.0, "n": 200},
    "restore": {"folder": "nowhere", "into": Bars()},
    "tame": {
        "flow": Gaussian(),
        "forget": POINTS[:2],
        "retain": POINTS[2:],
        "max_steps": 1,
        "n_statistics": 20,
    },
    "train_classifier": {
        "with_feature": 0.5 * IMAGES,
        "without_feature": 0.5 + 0.5 * IMAGES,
        "size": 32,
        "steps": 1,
    },
    "unlearn": {
        "generator": Bars(),
        "feature": width,
        "share": 0.3,
        "method": "moon2024",
        "n": 200,
        "steps": 1,
    },
    "unlearn_feature": {
        "generator": Bars(),
        "direction": fg.find_direction(LABELLED),
        "config": UnlearningConfig(steps=1),
    },
}
"""What every function takes, and works with within a second; oddities replace some of it."""


def test_every_function_of_the_front_door_is_tried():
    assert set(USUAL) == {name for name in fg.__all__ if not name.startswith("__")}


@pytest.mark.parametrize("name", USUAL)
@pytest.mark.filterwarnings("ignore")
@fuzzed
@given(data=st.data())
def test_a_function_works_or_is_refused_in_a_sentence(name, data):
    function = getattr(fg, name)
    parameters = inspect.signature(function).parameters
    names = sorted(set(parameters) | set(USUAL[name]))
    changed = (
        data.draw(st.dictionaries(st.sampled_from(names), anything, min_size=1, max_size=2))
        if names
        else {}
    )
    if changed.get("config", 0) is None:
        del changed["config"]  # of which all steps would be taken
    if callable(changed.get("callback")):
        changed["callback"] = print  # errors of its own would be the caller's
    if "settings" in changed:
        changed["typo"] = changed.pop("settings")
    survives(name, lambda: function(**{**USUAL[name], **changed}))
