# %% [markdown]
# # Does a flow give away whom it forgot?
#
# Membership inference asks whether an image was among those that a model learned. A model that
# was made to forget should answer as one that never saw the image. If the forgotten image is *too*
# unlikely, it is as conspicuous as before, and the tamed flow {cite}`malnick2024taming` tells on
# whom it forgot. {doc}`../taming` has the method.

# %% tags=["parameters"]
source: str = "auto"  # lfw (a real person), latent (one that the flow draws) or auto
person: str = ""  # a name of LFW, or the number of a latent; empty: the first
n_forget: int = 15  # images of the person to forget, 1 to 15
delta: float = 4.0  # where they shall lie, in sigma above the mean
model: str = "faces-glow"  # a flow of the zoo
retrained: str = ""  # a flow of the zoo that never saw the person, to compare with
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (minutes); fills what is 0
device: str = "auto"  # auto, cpu, cuda, cuda:1 or mps
lr: float = 0.0001  # of Adam; the paper takes 0.00005
eps: float = 0.00001  # of Adam; the paper takes 0.00000001
max_grad_norm: float = 2.0  # of a step's gradient; 0, as in the paper: no limit
retain_batch_size: int = 16  # images to retain in a step; the paper takes 8
settle_within: float = 0.06  # go on until retained images moved less than this, in sigma
precision: str = "bfloat16"  # of a step's forward pass; or float32
max_steps: int = 0  # at most
n_likelihood_reference: int = 0  # random images that give mean and sigma
n_samples: int = 0  # of nothing here; every template on a person has it
draws: int = 0  # of dequantisation noise for each likelihood

# %% tags=["hide-input"]
from typing import Literal

import matplotlib.pyplot as plt
from pydantic import Field

from forgetting.book import membership_plots, plots
from forgetting.book import run as runs
from forgetting.experiments import membership, person_task
from forgetting.experiments.likelihoods import stop_line
from forgetting.methods.taming import tame

plots.use_style()


class Parameters(person_task.PersonTamingParameters):
    source: Literal["auto", "lfw", "latent"]
    retrained: str
    draws: int = Field(ge=1, le=100)


PRESETS = {
    "smoke": person_task.PRESETS["smoke"] | {"n_likelihood_reference": 200, "draws": 1},
    "default": person_task.PRESETS["default"] | {"draws": 5},
}
run = runs.begin("membership", Parameters, PRESETS, globals())
p = run.parameters

# %% [markdown]
# ## Three flows
#
# The base learned the person's photographs. The tamed flow forgot some of them. The third flow,
# where the zoo has one, was trained without the person.

# %%
task = person_task.load_person_task(run, p)
person = task.person
without = run.load(p.retrained, "glow") if p.retrained else None
with run.timed("forgetting"):
    bar = runs.progress(p.max_steps, "taming")
    tamed = tame(task.base, task.forget, person.retain, p, callback=bar)
print(f"{person.name}: {len(task.forget)} images to forget; {stop_line(tamed.history)}")

# %% [markdown]
# ## Who is told from whom
#
# The others are people whom no flow has seen, from the data set of the person, so that the data
# set itself tells nothing. Three sets are told from them: the forgotten photographs, others of the
# same person, which the base learned as well, and photographs to retain.

# %%
sets = membership.membership_sets(person, task.forget, run.generator("others"))
flows = {"before": task.base, "after": tamed.model}
flows |= {"retrained": without} if without is not None else {}
noise = {"draws": p.draws, "seed": run.seed("noise")}
likelihoods = {
    name: membership.FlowLikelihoods.of(flow, sets, person.likelihood_reference, **noise)
    for name, flow in flows.items()
}
print(", ".join(f"{name}: {len(images)}" for name, images in sets.items()))

# %% [markdown]
# ## Three attackers
#
# The first has one flow and takes *likely* images for members, as membership inference does. The
# second has one flow, too, and takes *unusual* ones, whose likelihood is far from the mean on
# either side. The third holds both flows, before and after, and takes images that *changed* most.
# An AUC of 0.5 is chance, and one below it betrays as much as one above.

# %%
metrics = membership.membership_metrics(likelihoods)

# %% tags=["hide-input", "figure"] alt="AUC of each attacker, a panel for each set"
membership_plots.membership_panels(metrics, list(flows))
plt.show()

# %% [markdown]
# ## What was seen
#
# *Caught* is the share of members that an attacker finds with one false alarm in a hundred.

# %% tags=["nbval-check-output"]
metrics["steps"] = tamed.history[-1]["step"]
metrics = run.finish(metrics, tamed.history)
for name in membership.MEMBERS:
    for flow in flows:
        likely, unusual = (
            metrics[f"membership_{attack}_{name}_{flow}"] for attack in ("likely", "unusual")
        )
        print(f"{name:9} {flow:9} AUC likely {likely:.2f}, unusual {unusual:.2f}")
    changed, caught = (metrics[f"{what}_change_{name}"] for what in ("membership", "caught"))
    print(f"{name:9} both flows AUC {changed:.2f}, caught {caught:.0%}")
