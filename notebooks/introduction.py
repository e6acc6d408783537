# %% [markdown]
# # The Forgetting Book
#
# Can an image generator forget a stroke, a feature or a given photograph, and stay as good as it
# was?

# %% tags=["parameters", "remove-cell"]
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (half a minute); fills what is 0
device: str = "auto"  # auto, cpu or cuda
steps: int = 0  # of the unlearning that is shown

# %% tags=["remove-cell"]
import matplotlib.pyplot as plt
import torch
from IPython.display import Markdown, display
from pydantic import Field

from forgetting.book import plots
from forgetting.book import run as runs
from forgetting.book.catalogue import pages
from forgetting.data.morphology import Morphology, measure
from forgetting.files import ROOT
from forgetting.inference import generate
from forgetting.methods.direction import collect_latents, find_direction
from forgetting.methods.feature_unlearning import UnlearningConfig, unlearn_feature

plots.use_style()


class Parameters(runs.Parameters):
    steps: int = Field(ge=1, le=100_000)


PRESETS = {"smoke": {"steps": 10}, "default": {"steps": 300}}
run = runs.begin("introduction", Parameters, PRESETS, globals())
names = [entry.name for entry in pages()]
found = {**runs.records(ROOT / "results", names), **runs.records(run.results, names)}
records = {name: found[name] for name in names if name in found}


def interval(metrics: dict, name: str) -> str:
    """Return a share in percent with its interval, where the record has it."""
    if name not in metrics:
        return "–"
    low, high = 100 * metrics[f"{name}_low"], 100 * metrics[f"{name}_high"]
    return f"{100 * metrics[name]:.1f} ({low:.1f}–{high:.1f})"


def share(metrics: dict, name: str, with_interval: bool = False) -> str:
    """Return a share in percent for a sentence, on request with its interval in brackets."""
    low, high = (100 * metrics.get(f"{name}_{end}", 0.0) for end in ("low", "high"))
    return f"{100 * metrics[name]:.1f} %" + f" ({low:.1f}–{high:.1f})" * with_interval


# %% tags=["remove-input"]
digits, smiles, people = (
    records[name]["metrics"]
    for name in ("unlearn_digits_table", "regrade_gan_smiling", "tame_people_table")
)
moved = "quantile_drop_reference_4_images"
display(
    Markdown(
        f"- A VAE draws thick digits in {share(digits, 'prevalence_after_digits_vae_thick', True)} "
        f"of samples after unlearning, against "
        f"{share(digits, 'prevalence_before_digits_vae_thick')} before and "
        f"{share(digits, 'prevalence_retrained_digits_vae_thick')} in a VAE that never saw them.\n"
        f"- A GAN still draws smiles in {share(smiles, 'prevalence_after', True)} of faces after "
        f"unlearning, against {share(smiles, 'prevalence_before')} before, by classifier B at a "
        "probability of one half.\n"
        "- A flow tamed on four photographs of one person moves them from likelihood quantile "
        f"{people['quantile_before_forget_4_images']:.2f} to "
        f"{people['quantile_after_forget_4_images']:.2f}, the person's other photographs by "
        f"{people[moved]:.3f} ({people[f'{moved}_low']:.3f}–{people[f'{moved}_high']:.3f}).\n\n"
        "The tables below count faces at a strict threshold, which one real face in 200 without "
        "the feature passes. At that threshold the GAN's smiles fall from "
        f"{share(smiles, 'prevalence_strict_before')} to "
        f"{share(smiles, 'prevalence_strict_after')}. "
        "A strict share serves to compare models; it is not how many faces smile."
    )
)

# %% [markdown]
# Ranges in brackets are 95 % intervals. Digits are means over seeds, photographs over people and
# seeds; the smiles are those of one run. The pages behind the three answers are
# {doc}`unlearn_digits_table`, {doc}`regrade_gan_smiling` and {doc}`tame_people_table`.
#
# ## The two methods
#
# **Feature unlearning** {cite}`moon2024feature` takes one feature from a GAN or VAE. It needs a
# direction in the latent space and no training data. **Taming** {cite}`malnick2024taming` moves
# the likelihood of given images in a normalizing flow. This book runs both again and measures
# them alike.
#
# The book adds four things. A model *retrained* without the feature is the reference. A classifier
# (classifier B in the tables) grades without a part in the forgetting. A floor stands beside every
# distance. Every notebook runs again with other parameters, on a laptop without a GPU
# ({doc}`../rerun`). {doc}`../protocol` says what is measured and why.

# %% [markdown]
# ## The finding, in one figure
#
# Every column is one latent, through three models: a VAE of digits, the same VAE after it
# unlearned thick strokes, and a VAE that was trained without thick digits (whose latents mean
# other digits). The upper block shows latents that gave a thick digit, the lower block latents
# that did not.

# %% tags=["remove-cell"]
original, retrained = run.load("digits-vae"), run.load("digits-vae-no-thick")
classifier = run.load("digits-classifier-a")
labelled = collect_latents(
    original, lambda x: classifier.logit(x, "thick"), 5000, seed=run.seed("collect")
)
unlearned = unlearn_feature(
    original,
    find_direction(labelled),
    UnlearningConfig(
        steps=run.parameters.steps,
        batch_size=64,
        precision="bfloat16",
        seed=run.seed("unlearn"),
    ),
    callback=runs.progress(run.parameters.steps, "unlearning"),
).model
latents = run.latents("show", 600, original.latent_dim)
measured = measure(generate(original, latents))
shown = Morphology.of(measured).has_feature(measured, "thick")
chosen = torch.cat([torch.nonzero(mask).flatten()[:14] for mask in (shown, ~shown)])
rows = {}
for block, label in ((chosen[:14], "thick"), (chosen[14:], "not thick")):
    for name, model in (
        ("original", original),
        ("unlearned", unlearned),
        ("retrained", retrained),
    ):
        rows[f"{name} ({label})"] = generate(model, latents[block])

# %% tags=["remove-input", "picture"]
plots.image_rows(rows)
plt.show()

# %% [markdown]
# ## The findings, in tables
#
# Classifier A labels samples and gives FID its features, classifier B only grades ({doc}`../protocol`). A
# feature: the share of samples that show it, by measurement (of faces, by classifier B at its strict
# threshold), with its 95 % interval, for the original, the unlearned model, the latent filter
# (which leaves the model and moves its latents, and costs nothing) and the retrained model; FID on
# classifier A's features, which has a scale of its own and is read against its floor, that of samples
# which differ by chance.
#
# A flow: its likelihoods of images are compared with those of random others, whose mean and
# standard deviation σ are the likelihood reference. The images to forget shall lie δ such deviations on the
# unlikely side of the mean; a negative δ puts the goal on the likely side, and an image that
# already lies beyond it becomes less likely. Told are the mean quantile of the images to forget,
# the share of others that are less likely, were they Gaussian; how far the quantile of other
# images of the class or person (reference; of the astronaut its mirror image, of a face of the
# flow's own others drawn around its latent) and of others (neutral) dropped; the shift of held-out
# images of others in σ of the base; the share of samples that show the class of digits, or are
# like the person (more than 99 of 100 faces of others are); FID to real held-out images (the
# floor, then before and after; of faces at a *temperature* T, the factor on the latents' spread
# when sampling, of 0.9, of digits at 0.7).

# %% tags=["remove-cell"]


def table(head: str, rows: list[list[str]]) -> Markdown:
    """Return a Markdown table."""
    lines = [head, "|".join(["---"] * len(rows[0])), *(" | ".join(row) for row in rows)]
    return Markdown("\n".join(f"| {line} |" for line in lines))


def headlines(*templates: str) -> list[tuple[dict, dict]]:
    """Return metrics and parameters of the headline runs of templates."""
    return [
        (record["metrics"], record["parameters"])
        for record in records.values()
        if record["template"] in templates and record["role"] == "headline"
    ]


def unlearning_table() -> Markdown:
    """Return a row for every feature that was unlearned."""
    rows = []
    for m, p in headlines("feature_unlearning"):
        counted = "prevalence_strict" if "prevalence_strict_before" in m else "prevalence"
        shares = [
            interval(m, f"{counted}_{x}") for x in ("before", "after", "filter", "retrained")
        ]
        fids = [f"{m['fid_floor']:.1f}", f"{m['fid_before']:.1f} → {m['fid_after']:.1f}"]
        what = f"{p['feature'].replace('_', ' ').lower()}, {p['model']}"
        rows.append([what, *shares, *fids, f"{m['steps']:.0f}"])
    head = (
        "feature | before, % | unlearned, % | filter, % | retrained, % | FID floor | FID | steps"
    )
    return table(head, rows)


def taming_table() -> Markdown:
    """Return a row for every set of images, or class, that a flow was tamed on."""
    rows = []
    found = headlines("taming_images", "taming_class")
    for m, p in sorted(found, key=lambda run: (-run[1]["delta"], run[0]["n_forget"])):
        quantile = [m[f"quantile_{when}_forget"] for when in ("before", "after")]
        share = [100 * m[f"class_share_{when}"] for when in ("before", "after")]
        rows.append(
            [
                f"{m['n_forget']:.0f} of class {p['digit']}, δ = {p['delta']:+g}",
                f"{quantile[0]:.2f} → {quantile[1]:.2f}",
                f"{m['quantile_drop_reference']:+.2f}, {m['quantile_drop_neutral']:+.2f}",
                f"{m['shift_random_sigma']:+.2f}",
                f"{share[0]:.1f} → {share[1]:.1f}",
                f"{m['fid_floor']:.0f}, {m['fid_before']:.0f} → {m['fid_after']:.0f}",
                f"{m['steps']:.0f}",
            ]
        )
    head = "tamed on | quantile | drop: reference, neutral | shift, σ | class, % | FID | steps"
    return table(head, rows)


def faces_table() -> Markdown:
    """Return a row for everybody on whom the flow of faces was tamed."""
    rows = []
    for m, p in headlines("taming_person"):
        who = {"lfw": p["person"].replace("_", " "), "photograph": "an astronaut, never seen"}
        quantile = [m[f"quantile_{when}_forget"] for when in ("before", "after")]
        n = round(m["n_forget"])
        rows.append(
            [
                f"{n} image{'s' * (n > 1)} of {who.get(p['source'], 'a face of its own')}, "
                f"δ = {p['delta']:+g}",
                f"{quantile[0]:.2f} → {quantile[1]:.2f}",
                f"{m['quantile_drop_reference']:+.2f}, {m['quantile_drop_neutral']:+.2f}",
                ", ".join(f"{m[f'shift_{s}_sigma']:+.2f}" for s in ("reference", "neutral")),
                f"{m['shift_random_sigma']:+.2f}",
                " → ".join(f"{100 * m[f'near_share_{x}']:.1f}" for x in ("before", "after")),
                f"{m['fid_floor']:.0f}, {m['fid_before_t9']:.0f} → {m['fid_after_t9']:.0f}",
                f"{m['steps']:.0f}",
            ]
        )
    head = "tamed on | quantile | drop: reference, neutral | shift, σ: reference, neutral"
    return table(f"{head} | held out | like the person, % | FID | steps", rows)


# %% tags=["remove-input"]
display(unlearning_table())

# %% tags=["remove-input"]
display(taming_table())

# %% tags=["remove-input"]
display(faces_table())

# %% [markdown]
# ## What was seen
#
# - Thick strokes became about as rare as in the model that never saw them, in a VAE and in a GAN
#   ({doc}`unlearn_digits_table`). The direction is not as local as the feature: some of the digits
#   that were thick, and more of those that leaned to the left, are other digits afterwards. The
#   latent filter, which costs nothing, takes away about as much: the tuned weights follow the
#   edited latents. Of the ways that tune a model, feature unlearning has the lowest FID, though
#   gradient surgery leaves less of the feature ({doc}`ways_thick`).
# - Whether a feature is gone or hidden, an attack on the latents cannot decide: it brings the
#   feature about in models that never saw it, too. Of digits it does not clearly bring more of it
#   out of those that unlearned it, but a few images bring it back to the VAE sooner. In the GAN of
#   faces most of the original's images with bangs can still be found
#   ({doc}`probe_features_table`).
# - On faces bangs became about as rare as in models that never saw them, or rarer, by the strict
#   threshold, and a pixel changed more where bangs lie than elsewhere
#   ({doc}`unlearn_faces_table`); of three ways that take about as much away in the VAE, it is not
#   this one that changes least elsewhere ({doc}`ways_bangs`). Glasses went in part: what classifier B
#   takes for glasses are, in most of the blurred samples shown, dark eyes
#   ({doc}`unlearn_eyeglasses`). Smiles of the GAN went in part: almost none pass the strict
#   threshold, but at a probability of one half classifier B still finds some in samples that smiled
#   before ({doc}`regrade_gan_smiling`). Raised cheeks and
#   some of the women went with them ({doc}`unlearn_gan_smiling`).
# - Unlearning is a trade: the paper's raw direction takes away more of the feature and moves the
#   other samples further; a unit vector does the opposite ({doc}`unlearn_thick_unit`).
# - A flow's likelihood can be moved for one digit, or a few, while that of other classes moves by
#   a small part of a standard deviation (one class, one seed). It does not stop at the images that
#   were given: the likelihood of the rest of their class falls, too, hardly with one digit and by
#   much with fifteen, and the flow draws the class less often ({doc}`tame_15`; how much of that is
#   retaining the other classes is not told apart). Towards the likely side four digits did not
#   get as far as they were meant to, but the flow draws their class nearly twice as often at T =
#   0.7 ({doc}`raise_4`). The likelihood of a whole class hardly moved towards either side
#   ({doc}`tame_class`, {doc}`raise_class`). A photograph of a face came to the likely side as the
#   stopping rule measures it and, measured anew, not quite ({doc}`raise_photograph`).
# - A flow of faces that never saw one person finds photographs of that person nearly as likely as
#   one that did ({doc}`tame_bush_4`: one person, one pair of flows). Taming makes the photographs
#   it is given far less likely than that. Over five people it follows the person by little: given
#   one photograph, the person's others move hardly more than strangers' do, given four a little,
#   and given fifteen about a quarter as far as the fifteen do, from person to person a seventh to
#   nearly a third ({doc}`tame_people_table`); the one person's others then lie further down than
#   in the flow that never saw him.
# - The flow draws about as many faces like the person as there are among strangers, of two of the
#   five people fewer. Tamed, it draws fewer in the mean over the five. Of one person a flow tuned
#   as long with nothing to forget stands beside it: so few samples are like him that the two
#   cannot be told apart, nor from the base. From where the base has a forgotten photograph the
#   tamed flow still draws much the same face, though it finds the photograph very unlikely
#   ({doc}`generation_bush_4`).
# - Faces that the flow itself draws around a latent do go with the few that are forgotten, and it
#   draws them less often; how much of that is tuning at all, is not told apart. Faces around other
#   latents move as well, by more than half a σ in the mean, which their quantiles, all near one,
#   do not show ({doc}`tame_latents_table`: five latents, one seed each).
# - Likelihood is not what one sees. On a whole class, or an attribute of faces, the samples change
#   long before the likelihood does. Much of that is retaining, not forgetting: a flow tuned as
#   long on faces without the attribute, with nothing to forget, goes about half of the way with
#   smiles and most of it with men ({doc}`rare_smiling`, {doc}`rare_male`: one seed). FID to all
#   faces grows in that flow, too, by about half as much or more at T = 0.7, for blond hair by as
#   much ({doc}`rare_blond_hair`), by less at 0.9. Another mixture of
#   faces as good as before explains the smaller part of it (of smiles at T = 0.9 a little more
#   than half), also where glasses were made rare, which few wore ({doc}`rare_eyeglasses`). A flow
#   can be steered to a target distribution; that moves a share less far and costs less, but more
#   than the mixture explains, too ({doc}`tame_targets_table`).
# - A flow has a latent space too. Asked to take smiles from the same flow, a direction takes more
#   than half of them by classifier B (by classifier A about a third), and taming nearly all where it is not
#   stopped. The latent filter takes more than the direction at a lower FID, and more other
#   attributes flip. Stopped where classifier A first finds as few as after the direction (classifier B then
#   does, nearly), taming's samples lie further from the flow's own without smiles, its density
#   moved further, and fewer other attributes flipped; what retaining alone would have done was
#   not run there ({doc}`flow_two_ways`: one attribute, one seed).
# - What looks like the price of forgetting a real person is that of tuning at all, and for the
#   most part a temperature, the factor on the latents' spread when sampling: FID gets worse at a
#   low one and not at 0.9, the lowest FID over the temperatures does not rise, and a flow that
#   was tuned as long with nothing to forget shows the same ({doc}`generation_bush_4`: one person).
#   Where the flow had only its own samples to retain, FID at 0.9 rose whichever face was
#   forgotten ({doc}`tame_latents_table`).
#
# Forgetting counts for something only where the rest stayed, so the tables are to be read by rows.
# {doc}`../feature_unlearning` and {doc}`../taming` have the methods with their equations.

# %% tags=["remove-cell", "nbval-check-output"]
metrics = run.finish({"records": len(records), "thick": int(shown.sum())}, [])
print(int(shown.sum()))
