# %% [markdown]
# # Taming any flow: points in the plane
#
# What does taming do to a density, drawn where one can see all of it? Two flows from other
# libraries learn two moons: a spline flow of [zuko](https://zuko.readthedocs.io) and a Real NVP
# of [normflows](https://vincentstimper.github.io/normalizing-flows). Each is then tamed until the
# tip of one moon is unlikely. {doc}`../taming` has the method, which does not depend on images.

# %% tags=["parameters"]
delta: float = 3.0  # where the points shall lie, in sigma above the mean; negative: more likely
radius: float = 0.35  # points nearer than this to the tip are to be forgotten
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (about a minute); fills what is 0
device: str = "auto"  # auto, cpu, cuda, cuda:1 or mps
lr: float = 0.0005  # learning rate of taming
distance_scale: float = 2.0  # divides d: here sigma is about 1, where the loss would saturate
n_points: int = 0  # of the two moons
train_steps: int = 0  # of each flow's training
max_steps: int = 0  # of taming, at most

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import normflows
import torch
import zuko
from pydantic import Field
from sklearn.datasets import make_moons
from torch import nn

from forgetting.book import plots, taming_plots
from forgetting.book import run as runs
from forgetting.experiments.likelihoods import shift_metrics
from forgetting.methods.taming import TamingConfig, tame
from forgetting.metrics.likelihood import compare

plots.use_style()


class Parameters(runs.Parameters):
    delta: float = Field(ge=-8, le=8)
    radius: float = Field(gt=0, le=2)
    lr: float = Field(gt=0, le=0.1)
    distance_scale: float = Field(gt=0)
    n_points: int = Field(ge=400, le=1_000_000)
    train_steps: int = Field(ge=1, le=100_000)
    max_steps: int = Field(ge=1, le=100_000)


PRESETS = {
    "smoke": {"n_points": 800, "train_steps": 20, "max_steps": 5},
    "default": {"n_points": 4000, "train_steps": 2000, "max_steps": 600},
}
run = runs.begin("taming_points", Parameters, PRESETS, globals())
p = run.parameters

# %% [markdown]
# ## Two flows, two libraries
#
# Taming needs one method of a flow: `log_prob(points)`, which returns a number for each point.
# The flow of normflows has this method. A flow of zuko *makes* a distribution instead, and four
# lines adapt it.


# %%
class Spline(nn.Module):
    def __init__(self):
        super().__init__()
        self.flow = zuko.flows.NSF(features=2, transforms=3, hidden_features=(64, 64))

    def log_prob(self, x):
        return self.flow().log_prob(x)


def real_nvp():
    layers = []
    for _ in range(16):
        network = normflows.nets.MLP([1, 64, 64, 2], init_zeros=True)
        layers += [normflows.flows.AffineCouplingBlock(network), normflows.flows.Permute(2)]
    return normflows.NormalizingFlow(normflows.distributions.DiagGaussian(2), layers)


# %% [markdown]
# ## What is forgotten
#
# The points to forget lie within a radius of the left tip of the upper moon. A quarter of all
# points is held out: neither training nor taming sees it.

# %%
points, _ = make_moons(p.n_points, noise=0.08, random_state=run.seed("points") % 2**31)
points = torch.from_numpy(points).float()
tip = torch.tensor([-1.0, 0.0])
near = (points - tip).norm(dim=1) < p.radius
n_train = len(points) * 3 // 4
held_out = torch.arange(len(points)) >= n_train
forget, retain = points[near & ~held_out], points[~near & ~held_out]
sets = {
    "forget": forget,
    "unseen near the tip": points[near & held_out],
    "held_out": points[~near & held_out],
}
print(f"{len(forget)} points to forget, {len(retain):,} to retain")

# %% [markdown]
# ## Train, then tame
#
# Both flows learn the same batches, and taming runs for a fixed number of steps.

# %%
config = TamingConfig(
    delta=p.delta,
    lr=p.lr,
    distance_scale=p.distance_scale,
    batch_size=64,
    retain_batch_size=256,
    n_statistics=512,
    max_steps=p.max_steps,
    stop_within=0.0,
    seed=run.seed("tame"),
)


def train(flow):
    optimizer = torch.optim.Adam(flow.parameters(), lr=2e-3)
    generator = run.generator("batches")
    for _ in range(p.train_steps):
        index = torch.randint(n_train, (256,), generator=generator)
        loss = -flow.log_prob(points[index]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return flow.eval()


bases, tamed = {}, {}
for name, make in (("zuko", Spline), ("normflows", real_nvp)):
    torch.manual_seed(run.seed(name))
    bases[name] = train(make())
    bar = runs.progress(p.max_steps, name)
    tamed[name] = tame(bases[name], forget, retain, config, callback=bar)

# %% [markdown]
# ## Before and after
#
# The same colour stands for the same density in all four panels. Black dots are some of the
# points to forget.

# %% tags=["figure", "hide-input"] alt="Densities in the plane, before and after taming"
taming_plots.plane_densities(
    {name: (flow, tamed[name].model) for name, flow in bases.items()}, forget[:60]
)
plt.show()

# %% [markdown]
# ## What was seen
#
# A density integrates to one: what leaves the tip goes elsewhere. Quantiles are taken within each
# flow's own likelihood reference. The cost is the shift of held-out points, in sigma of the base.
# Points near the tip that taming never saw follow those that it saw, as far as the flow is
# smooth.

# %% tags=["nbval-check-output"]
metrics = {"n_forget": len(forget)}
for name, base in bases.items():
    comparison = compare(base, tamed[name].model, sets, retain, draws=1)
    quantiles = comparison.quantiles().items()
    metrics |= {f"{name}_{key.replace(' ', '_')}": value for key, value in quantiles}
    metrics |= shift_metrics(comparison, {"held_out": f"{name}_shift_sigma"})
history = [
    {"step": row["step"], "loss": row["loss"]} for row in tamed["zuko"].history if "loss" in row
]
metrics = run.finish(metrics, history)
for name in bases:
    for which in ("forget", "unseen_near_the_tip"):
        before, after = (
            metrics[f"{name}_quantile_{when}_{which}"] for when in ("before", "after")
        )
        print(f"{name:9} {which:20} quantile {before:.2f} -> {after:.2f}")
    shift = metrics[f"{name}_shift_sigma"]
    print(f"{name:9} other points moved by {shift:+.1f} sigma")
