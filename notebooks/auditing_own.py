# %% [markdown]
# # Auditing a generator of one's own
#
# A feature may be gone from a model, or only hidden. Probes look for it in a generator before and
# after unlearning: they attack latents, tune copies on a few images, and read the last layer.
# {doc}`../own_model` shows how the pair is made, and {doc}`../protocol` what each probe tells.

# %% tags=["parameters"]
feature: str = "Bangs"  # an attribute of all classifiers
model: str = "faces-vae"  # before: a generator of the zoo, or FILE.py:FUNCTION
after: str = "faces-vae-no-bangs"  # after: the same, or the folder of `forgetting unlearn`
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (minutes); fills what is 0
device: str = "auto"  # auto, cpu, cuda, cuda:1 or mps
classifier: str = ""  # what attacks follow: of the zoo or FILE.py:FUNCTION; empty: classifier A
grader: str = ""  # what grades; empty: classifier B
retrained: str = ""  # a model that never had the feature; empty: none
folder: str = ""  # folder for the record of the report, may be that of the model; empty: none
n_samples: int = 0  # in every share
n_attacked: int = 0  # latents that are attacked
steps: int = 0  # of the search for latents

# %% tags=["hide-input"]
from pathlib import Path

import matplotlib.pyplot as plt

import forgetting as fg
from forgetting.book import plots, unlearning_plots
from forgetting.book import run as runs
from forgetting.experiments import own_code
from forgetting.experiments.own_parameters import OwnAuditParameters

plots.use_style()

PRESETS = {
    "smoke": {"n_samples": 200, "n_attacked": 8, "steps": 5},
    "default": {"n_samples": 1000, "n_attacked": 64, "steps": 100},
}
run = runs.begin("auditing_own", OwnAuditParameters, PRESETS, globals())
p = run.parameters
print(p.line())

# %% [markdown]
# ## The pair, and what grades it
#
# Without other names, attacks follow classifier A of digits or of faces, and classifier B grades.
# Without a model of one's own, one that never saw bangs stands in for one that unlearned them.

# %%
original = own_code.load_model(p.model, run)
audited = own_code.load_tuned(p.after, p.model, run)
retrained_model = own_code.load_model(p.retrained, run) if p.retrained else None
followed, grader_score = own_code.load_audit_scores(
    original, p.feature, p.classifier or None, p.grader or None, run
)

# %% [markdown]
# ## Probe
#
# *Attacked latents* is the share of latents that show the feature after a search for it.
# *Relearned* is the share of fresh samples that show it after tuning on eight images with it.

# %%
with run.timed("probing"):
    report = fg.audit(
        original,
        audited,
        followed,
        grader_score,
        n=p.n_samples,
        n_attacked=p.n_attacked,
        steps=p.steps,
        seed=p.seed,
        retrained=retrained_model,
    )
print(report)

# %% tags=["hide-input", "figure"] alt="Points with intervals, one row a probe and model"
unlearning_plots.audited_shares(report)
plt.show()

# %%
if p.folder:
    report.save(Path(p.folder))

# %% [markdown]
# ## What was seen

# %% tags=["nbval-check-output"]
metrics = run.finish(report.metrics, [])
print(report.sentence)
