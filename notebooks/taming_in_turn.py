# %% [markdown]
# # Taming a flow on several people, one after another
#
# A flow that has forgotten one person is asked to forget the next. Do the earlier ones come back?
# What does the last of them cost beside the first, and what if all are forgotten at once? The
# paper on taming {cite}`malnick2024taming` forgets one person at a time, each in the same
# untouched flow. {doc}`../taming` has the method, {doc}`../faces` the data.

# %% tags=["parameters"]
people: str = "0,1,2,3,4"  # names of LFW, or numbers of latents, in the order of forgetting
source: str = "latent"  # lfw (real), latent (the flow's own) or auto
n_forget: int = 4  # images to forget of each person, 1 to 15
delta: float = 4.0  # where they shall lie, in sigma above the mean; negative: more likely
model: str = "faces-glow"  # a flow of the zoo
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (minutes); fills what is 0
device: str = "auto"  # auto, cpu, cuda, cuda:1 or mps
lr: float = 0.0001  # learning rate of Adam
eps: float = 0.00001  # of Adam
max_grad_norm: float = 2.0  # of a step's gradient; 0: no limit
alpha: float = 0.6  # weight of forgetting against retaining
gamma: float = 0.6  # weight of the KL terms in retaining
stop_within: float = 0.15  # of delta, for every image to forget
batch_size: int = 8  # images to forget in a step
retain_batch_size: int = 16  # images to retain in a step
settle_within: float = 0.06  # go on until retained images moved less than this, in sigma; 0: no
precision: str = "bfloat16"  # of a step's forward pass; or float32
temperature: float = 0.7  # of the samples
max_steps: int = 0  # of one taming, at most
n_likelihood_reference: int = 0  # random images that give mean and sigma
n_samples: int = 0  # samples for each FID
draws: int = 0  # of dequantisation noise for each likelihood

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import torch
from pydantic import Field

from forgetting.book import in_turn_plots, plots, taming_plots
from forgetting.book import run as runs
from forgetting.experiments import in_turn, person_task
from forgetting.experiments.samples import compare_samples
from forgetting.methods.taming import tame
from forgetting.metrics.likelihood import compare
from forgetting.zoo import references

plots.use_style()


class Parameters(in_turn.InTurnParameters):
    temperature: float = Field(gt=0, le=2)
    draws: int = Field(ge=1, le=100)


PRESETS = {
    "smoke": person_task.PRESETS["smoke"] | {"draws": 1},
    "default": person_task.PRESETS["default"] | {"draws": 5},
}
run = runs.begin("taming_in_turn", Parameters, PRESETS, globals())
p = run.parameters
print(p.line())

# %% [markdown]
# ## Who is forgotten
#
# Nobody of them is among the images to retain, not even before the turn comes. Somebody who
# forgets one person after another would not bring the earlier ones back by hand. The tamed flow of
# one turn is where the next begins, and its own likelihoods of retained images give the new mean
# and sigma.

# %%
task = in_turn.load_people_task(run, p)
base = task.base
for name, forget, reference in zip(task.names, task.forget, task.reference, strict=True):
    print(f"{name}: {len(forget)} images to forget, {len(reference)} others")
print(f"{len(task.retain):,} images to retain")

# %% [markdown]
# ## One after another, and all at once

# %%
flows, steps, history = {}, {}, []
begin = base
with run.timed("forgetting"):
    for number, stage in enumerate(in_turn.stages(len(task.names))):
        is_last = stage == in_turn.AT_ONCE
        forget = torch.cat(task.forget) if is_last else task.forget[number]
        config = p.model_copy(update={"seed": run.seed(stage)})
        show = runs.progress(p.max_steps, f"taming, {stage.replace('_', ' ')}")
        tamed = tame(base if is_last else begin, forget, task.retain, config, callback=show)
        begin, flows[stage] = tamed.model, tamed.model
        steps[stage] = tamed.history[-1]["step"]
        history += [row | {"turn": number + 1} for row in tamed.history]
        print(f"{stage.replace('_', ' ')}: {steps[stage]:.0f} steps")

# %% [markdown]
# ## Do the earlier ones come back?
#
# A line is a person. It shows how far the likeliest of the images to forget lies above the flow's
# mean, in sigma of the flow. Before a person's turn it is where others lie. In the turn it rises
# into the grey band, which the stopping rule allows. Below the band afterwards, the person has
# come back in part.

# %%
comparisons = {
    stage: compare(
        base,
        flow,
        task.measured,
        task.likelihood_reference,
        draws=p.draws,
        seed=run.seed("noise"),
    )
    for stage, flow in flows.items()
}
metrics = in_turn.in_turn_metrics(comparisons, len(task.names), p.delta, p.stop_within)
metrics |= {f"steps_{stage}": number for stage, number in steps.items()}

# %% tags=["hide-input", "figure"] alt="A line for each person over the turns, and a grey band"
in_turn_plots.likeliest_by_turn(metrics, task.names, p.delta, p.stop_within)
plt.show()

# %% [markdown]
# ## What does it cost?
#
# The shift is that of held-out faces, in sigma of the base, with its interval. FID is taken on
# classifier A's features, to held-out faces, over three draws of the latents that all flows share.

# %%
subset = f"{base.image_shape[-1]}.all"
metrics["fid_floor"] = references.floor(run.record(references.FACES), subset, p.n_samples)
for stage, flow in flows.items():
    compared = compare_samples(
        base,
        flow,
        p.n_samples,
        p.temperature,
        seeds=[run.seed(f"draw {draw}") for draw in range(3)],
        reference=run.statistics(subset, references.FACES),
        feature_classifier=task.classifier_a,
    )
    for name in ("fid_change", "fid_change_std"):
        metrics[name.replace("change", f"change_{stage}")] = compared[name]
    metrics |= {name: compared[name] for name in ("fid_before", "fid_before_std")}

# %% tags=["hide-input", "figure"] caption="Every flow: what it took, and what it changed"
in_turn_plots.costs_table(metrics, task.names)

# %% tags=["hide-input", "figure", "samples"] alt="A row of samples a flow, latents shared"
taming_plots.sample_rows(in_turn_plots.shown_flows(base, flows), p.temperature, run)
plt.show()

# %% [markdown]
# ## What was seen

# %% tags=["nbval-check-output"]
metrics = run.finish(metrics, history)
for number, name in enumerate(task.names, 1):
    own, last = (metrics[f"above_{number}_turn_{turn}"] for turn in (number, len(task.names)))
    print(f"{name}: {own:.1f} sigma after the own turn, {last:.1f} after the last")
