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
from IPython.display import Markdown
from pydantic import Field

from forgetting.book import headlines, plots
from forgetting.book import run as runs
from forgetting.book.catalogue import pages
from forgetting.border.inference import generate
from forgetting.data.morphology import Morphology, measure
from forgetting.methods.direction import collect_latents, find_direction
from forgetting.methods.feature_unlearning import UnlearningConfig, unlearn_feature

plots.use_style()


class Parameters(runs.Parameters):
    steps: int = Field(ge=1, le=100_000)


PRESETS = {"smoke": {"steps": 10}, "default": {"steps": 300}}
run = runs.begin("introduction", Parameters, PRESETS, globals())
p = run.parameters
records = headlines.read_records(run, [entry.name for entry in pages()])

# %% tags=["remove-input", "figure"]
Markdown(headlines.answers(records))

# %% [markdown]
# Ranges in brackets are 95 % intervals. Figures of digits are means over seeds, those of
# photographs means over people and seeds. Those of smiles are from one run. The pages behind the
# three answers are {doc}`unlearn_digits_table`, {doc}`unlearn_gan_smiling` and
# {doc}`tame_people_table`.
#
# ## The two methods
#
# **Feature unlearning** {cite}`moon2024feature` takes one feature from a GAN or VAE. It needs a
# direction in the latent space and no training data. **Taming** {cite}`malnick2024taming` moves
# the likelihood of given images in a normalizing flow. This book runs both again and measures them
# alike.
#
# The book adds four things. A model *retrained* without the feature is the reference. A classifier
# (classifier B in the tables) grades without a part in the forgetting. A floor stands beside every
# distance. Every notebook runs again with other parameters, on a laptop without a GPU
# ({doc}`../rerun`). {doc}`../protocol` says what is measured and why.

# %% [markdown]
# ## The finding, in one figure
#
# Every column is one latent, through three models. The first is a VAE of digits. The second is the
# same VAE after it unlearned thick strokes. The third was trained without thick digits, so its
# latents mean other digits. The upper block shows latents that gave a thick digit, the lower block
# latents that did not.

# %% tags=["remove-cell"]
original, retrained = run.load("digits-vae"), run.load("digits-vae-no-thick")
classifier = run.load("digits-classifier-a")
labelled = collect_latents(
    original, lambda x: classifier.logit(x, "thick"), 5000, seed=run.seed("collect")
)
config = UnlearningConfig(
    steps=p.steps, batch_size=64, precision="bfloat16", seed=run.seed("unlearn")
)
show = runs.progress(p.steps, "unlearning")
unlearned = unlearn_feature(original, find_direction(labelled), config, callback=show).model
models = {"original": original, "unlearned": unlearned, "retrained": retrained}
latents = run.latents("show", 600, original.latent_dim)
measured = measure(generate(original, latents))
is_thick = Morphology.of(measured).has_feature(measured, "thick")
rows = {}
for label, selected in (("thick", is_thick), ("not thick", ~is_thick)):
    block = latents[torch.nonzero(selected).flatten()[:14]]
    rows |= {f"{name} ({label})": generate(model, block) for name, model in models.items()}

# %% tags=["remove-input", "picture", "figure"]
plots.image_rows(rows)
plt.show()

# %% [markdown]
# ## The findings, in tables
#
# Classifier A labels samples and gives FID its features. Classifier B only grades
# ({doc}`../protocol`).
#
# **A feature.** The table shows the share of samples that show it, with its 95 % interval. Digits
# are measured, and faces are graded by classifier B at its strict threshold. The columns are the
# original, the unlearned model, the latent filter and the retrained model. The filter leaves the
# model, moves its latents and costs nothing. FID on classifier A's features has a scale of its
# own. It is read against its floor, the FID of samples that differ by chance.

# %% tags=["remove-input", "figure"]
Markdown(headlines.unlearning_table(records))

# %% [markdown]
# **A flow.** Its likelihoods of images are compared with those of random others, whose mean and
# standard deviation σ are the likelihood reference. The images to forget shall lie δ such
# deviations on the unlikely side of the mean. A negative δ puts the goal on the likely side. An
# image that already lies beyond the goal becomes less likely.
#
# - *Quantile*: the mean quantile of the images to forget. It is the share of others that would be
#   less likely, were they Gaussian.
# - *Drop*: how far the mean quantile of other images fell. *Reference* images are of the same
#   class or person. The astronaut's is the mirror image. Those of a face of the flow's own are
#   drawn around its latent. *Neutral* images are of others.
# - *Shift*: the shift of held-out images of others, in σ of the base.
# - *Class* or *like the person*: the share of samples that show the class of digits or are like
#   the person. More than 99 of 100 faces of others are less like the person than such samples.
# - *FID*: to real held-out images: the floor, then before and after. The temperature T is the
#   factor on the latents' spread when sampling. It is 0.7 for digits and 0.9 for faces.

# %% tags=["remove-input", "figure"]
Markdown(headlines.taming_table(records))

# %% tags=["remove-input", "figure"]
Markdown(headlines.faces_table(records))

# %% [markdown]
# ## What was seen
#
# **Thick strokes go, but not alone** ({doc}`unlearn_digits_table`). In a VAE and in a GAN they
# became about as rare as in the model that never saw them. The direction is not as local as the
# feature. Some of the digits that were thick are other digits afterwards, and more of those that
# leaned to the left. The latent filter costs nothing and takes away about as much: the tuned
# weights follow the edited latents. Of the methods that tune a model, feature unlearning has the
# lowest FID, though gradient surgery leaves less of the feature ({doc}`ways_thick`).
#
# **Gone or hidden?** ({doc}`probe_features_table`) An attack on the latents cannot decide. It
# brings the feature about in models that never saw it, too. It does not clearly bring more of it
# out of digit models that unlearned it. Yet a few images bring the feature back to the VAE sooner.
# In the GAN of faces, most of the original's images with bangs can still be found.
#
# **Bangs go by the strict threshold** ({doc}`unlearn_faces_table`). They became about as rare as
# in models that never saw them, or rarer. A pixel changed more where bangs lie than elsewhere.
# Three methods take about as much away in the VAE. Feature unlearning is not the one that changes
# least elsewhere ({doc}`ways_bangs`).
#
# **Glasses and smiles go in part.** What classifier B takes for glasses are, in most of the
# blurred samples shown, dark eyes ({doc}`unlearn_eyeglasses`). Almost none of the GAN's smiles
# pass the strict threshold. At its balanced threshold, classifier B still finds some in samples
# that smiled before. Raised cheeks and some of the women went with the smiles
# ({doc}`unlearn_gan_smiling`).
#
# **Unlearning is a trade.** The paper's raw direction takes away more of the feature and moves the
# other samples further. A unit vector does the opposite ({doc}`unlearn_thick_unit`).
#
# **A flow's likelihood can be moved for one digit, or a few.** That of other classes moves by a
# small part of a standard deviation (one class, one seed). The change does not stop at the given
# images. The rest of their class becomes less likely, too: hardly with one digit, and much with
# fifteen. The flow also draws the class less often ({doc}`tame_15`). How much of that comes from
# retaining the other classes was not measured.
#
# **Towards the likely side.** Four digits did not get as far as they were meant to. Yet the flow
# draws their class nearly twice as often at T = 0.7 ({doc}`raise_4`). The likelihood of a whole
# class hardly moved towards either side ({doc}`tame_class`, {doc}`raise_class`). A photograph of a
# face came to the likely side as the stopping rule measures it. Measured anew, it did not quite
# ({doc}`raise_photograph`).
#
# **A tamed flow is not a flow that never saw the person** ({doc}`tame_bush_4`: one person, one
# pair of flows). A flow of faces that never saw one person finds photographs of that person nearly
# as likely as one that did. Taming makes the photographs it is given far less likely than that.
#
# **Taming follows the person only a little** ({doc}`tame_people_table`: five people). Given one
# photograph, the person's others move hardly more than strangers' do. Given four they move a
# little more. Given fifteen they move about a quarter as far as the fifteen do. From person to
# person, that is a seventh to nearly a third. The other photographs of {doc}`tame_bush_4`'s person
# then lie further down than in the flow that never saw him.
#
# **The person was rare among samples from the start.** The flow draws about as many faces like the
# person as there are among strangers. Of two of the five people it draws fewer. Tamed, it draws
# fewer in the mean over the five. For one person, a flow tuned as long with nothing to forget
# stands beside it. So few samples are like him that neither can be told from the other or from the
# base. The tamed flow finds a forgotten photograph very unlikely. From where the base has it, the
# tamed flow still draws much the same face ({doc}`generation_bush_4`).
#
# **Faces of the flow's own go together** ({doc}`tame_latents_table`: five latents, one seed each).
# Faces drawn around a latent do go with the few that are forgotten, and the flow draws them less
# often. How much of that comes from tuning at all was not measured. Faces around other latents
# move as well, by more than half a σ in the mean. Their quantiles, all near one, do not show it.
#
# **Likelihood is not what one sees.** For a whole class, or an attribute of faces, the samples
# change long before the likelihood does. Much of that is retaining, not forgetting. A flow tuned
# as long on faces without the attribute, with nothing to forget, goes about half of the way with
# smiles. With men it goes most of the way ({doc}`rare_smiling`, {doc}`rare_male`: one seed). Its
# FID to all faces grows, too. At T = 0.7 it grows by about half as much as the tamed flow's, or
# more. For blond hair it grows by as much ({doc}`rare_blond_hair`). At T = 0.9 it grows by less.
#
# **Another mixture of faces, as good as before, explains the smaller part of that cost.** The
# exception is smiles at T = 0.9, where it explains a little more than half. It explains the
# smaller part also where glasses were made rare, which few wore ({doc}`rare_eyeglasses`). A flow
# can also be steered to a target distribution. That moves a share less far and costs less, but it
# too costs more than the mixture explains ({doc}`tame_targets_table`).
#
# **A direction and a density can take the same attribute** ({doc}`flow_two_ways`: one attribute,
# one seed). From the same flow, a direction takes more than half of the smiles by classifier B,
# about a third by classifier A. Taming takes nearly all where it is not stopped. The latent filter
# takes more than the direction at a lower FID, and more other attributes flip. Taming was also
# stopped where classifier A first found as few smiles as after the direction. Classifier B then
# finds nearly as few. Taming's samples then lie further from the flow's own without smiles, and
# its density moved further. Fewer other attributes flipped. What retaining alone would have done
# was not run there.
#
# **The price is that of tuning, and of a temperature** ({doc}`generation_bush_4`: one person).
# What looks like the price of forgetting a real person is that of tuning at all. For the most part
# it is that of a temperature, the factor on the latents' spread when sampling. FID gets worse at a
# low temperature and not at 0.9. The lowest FID over the temperatures does not rise. A flow that
# was tuned as long with nothing to forget shows the same. Where the flow had only its own samples
# to retain, FID at 0.9 rose whichever face was forgotten ({doc}`tame_latents_table`).
#
# Forgetting counts for something only where the rest stayed, so the tables are to be read by rows.
# {doc}`../feature_unlearning` and {doc}`../taming` have the methods with their equations.

# %% tags=["remove-cell", "nbval-check-output"]
metrics = run.finish({"records": len(records), "thick": int(is_thick.sum())}, [])
print(int(metrics["thick"]))
