# %% [markdown]
# # Unlearning in a generator of one's own
#
# A generator unlearns a feature: yours, or one of the zoo in its place. One classifier steers, and
# others grade.
# {doc}`../own_model` shows how a module becomes a generator, and what to expect of each step.

# %% tags=["parameters"]
feature: str = "7"  # an attribute of all classifiers
model: str = "digits-vae"  # a generator of the zoo, or FILE.py:FUNCTION
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (minutes); fills what is 0
device: str = "auto"  # auto, cpu, cuda, cuda:1 or mps
classifier: str = ""  # what steers: of the zoo or FILE.py:FUNCTION; empty: classifier A
graders: str = ""  # what grades, separated by commas; empty: B, of faces face-api too
method: str = "until_gone"  # or moon2024, the paper's single pass
share: float = 0.0  # of a feature of degree: the part of the samples that has it; 0: none
settings: str = ""  # further ones, as `forgetting unlearn -p` takes them, separated by commas
folder: str = ""  # new folder for weights, card and picture; empty: none
n_collected: int = 0  # samples that until_gone scores, at most
steps: int = 0  # of the single pass, or of each round
rounds: int = 0  # of until_gone, at most
n_samples: int = 0  # in every measure

# %% tags=["hide-input"]
from pathlib import Path

import matplotlib.pyplot as plt

import forgetting as fg
from forgetting.book import plots, unlearning_plots
from forgetting.book import run as runs
from forgetting.experiments import own_code
from forgetting.experiments.own_parameters import OwnUnlearningParameters

plots.use_style()

PRESETS = {
    "smoke": {"n_collected": 1500, "steps": 20, "rounds": 1, "n_samples": 300},
    "default": {"n_collected": 20_000, "steps": 300, "rounds": 6, "n_samples": 5000},
}
run = runs.begin("unlearning_own", OwnUnlearningParameters, PRESETS, globals())
p = run.parameters
print(p.line())

# %% [markdown]
# ## The generator, and what judges it
#
# Without other names, classifier A of digits or of faces steers, and classifier B grades; so does
# face-api of faces, where it is at hand. A grader of the zoo counts at its balanced threshold, any
# other classifier at a probability of one half.

# %%
original = own_code.load_model(p.model, run)
names = [name for name in p.graders.split(",") if name]
steers, grade = own_code.load_scores(original, p.feature, p.classifier or None, names, run)

# %% [markdown]
# ## Unlearn, and measure
#
# Prevalence is the share of samples that have the feature, with its Wilson 95 % interval. *Floor*
# is the share that a grader finds where there should be none. The filter erases the feature from
# the latents and changes no weight.

# %%
with run.timed("forgetting"):
    result = fg.unlearn(
        original,
        steers,
        grade,
        method=p.method,
        share=p.share or None,
        n=p.n_samples,
        seed=p.seed,
        **p.all_settings(),
    )
print(result)

# %% tags=["hide-input", "figure", "samples"] alt="Two rows of samples, before and after"
plots.image_rows(dict(zip(("before", "after"), result.measured.shown, strict=True)))
plt.show()

# %% tags=["hide-input", "figure"] alt="Curves of the loss terms against steps, log scale"
unlearning_plots.loss_terms(result.history)
plt.show()

# %%
if p.folder:
    result.save(Path(p.folder))

# %% [markdown]
# ## What was seen

# %% tags=["nbval-check-output"]
metrics = run.finish({k: v for k, v in result.metrics.items() if k != "seconds"}, result.history)
print(result.verdict)
