"""Fit the embedding of faces: a linear map of classifier A's features that tells people apart."""

import torch

from forgetting.border.inference import embeddings, features
from forgetting.data.faces import load_faces
from forgetting.metrics.identity import N_STRANGERS, pairs, verification
from forgetting.models.classifier import Classifier
from forgetting.models.embedding import Embedding, EmbeddingConfig
from forgetting.zoo import store
from forgetting.zoo.recipes import RECIPES, Measurement

NAME = "faces-embedding"
CLASSIFIER = "faces-classifier-a"

PER_PERSON = 20
"""Images of one person that are used, at most: otherwise a few people would dominate."""


def make_faces_embedding() -> None:
    """Fit the embedding on the training people of CelebA and LFW, and save `faces-embedding`.

    The record holds how well the embedding tells held-out people of LFW apart, at 32 and 64 px,
    and the similarity above which two images count as one person.

    Raises
    ------
    DataError
        CelebA or LFW is not at hand.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    classifier = store.load(CLASSIFIER)
    assert isinstance(classifier, Classifier)
    config = EmbeddingConfig(classifier=classifier.config, n_dims=64)
    model = Embedding(config).eval().requires_grad_(False)
    model.classifier.load_state_dict(classifier.state_dict())
    large, small = ([load_faces(s, "train", px) for s in ("celeba", "lfw")] for px in (64, 32))
    names = [f"{faces.source}/{person}" for faces in large for person in faces.people]
    chosen = _chosen(names)
    both_sizes = [  # the two sizes of a face belong to one person
        torch.cat([features(model, faces.images) for faces in sets])[chosen]
        for sets in (large, small)
    ]
    people = [names[i] for i in chosen]
    lda = LinearDiscriminantAnalysis(n_components=config.n_dims)
    lda.fit(torch.cat(both_sizes).double().numpy(), people + people)
    matrix = torch.from_numpy(lda.scalings_[:, : config.n_dims]).float()
    model.projection.weight.copy_(matrix.T)
    model.projection.bias.copy_(-torch.from_numpy(lda.xbar_).float() @ matrix)
    figures = {}
    for size in (32, 64):
        faces = load_faces("lfw", "held_out", size)
        similarity, same = pairs(embeddings(model, faces.images), faces.people, N_STRANGERS)
        auc, threshold, recall = verification(similarity, same)
        figures[str(size)] = {
            "auc": auc.value,
            "auc_low": auc.low,
            "auc_high": auc.high,
            "threshold": threshold,
            "recall": recall,
        }
    entry = {
        "kind": "embedding",
        "config": config.model_dump(mode="json"),
        "parts": {"classifier": CLASSIFIER},
        "classifier": {CLASSIFIER: store.record(CLASSIFIER)["sha256"]},
        "n_images": len(chosen),
        "n_people": len(set(people)),
        "verification": figures,
    }
    store.save(NAME, model, entry, CARD)


def _chosen(names: list[str]) -> list[int]:
    """Return the indices of used images: of people with two or more, `PER_PERSON` at most."""
    places: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        places.setdefault(name, []).append(i)
    return sorted(i for own in places.values() if len(own) > 1 for i in own[:PER_PERSON])


CARD = """# faces-embedding

An embedding of faces. It adds classifier A's features of an image and of its mirror image, and
maps them by the linear discriminant analysis that best tells the people of CelebA and LFW apart.
The study measures with it how similar two faces are, and so how well a person is forgotten.

- **Kind**: `embedding`; load it with `forgetting.zoo.load("faces-embedding")`. The record,
  `faces-embedding.json`, holds how well it tells held-out people apart, and the similarity that
  one pair of strangers in 100 reaches.
- **Again**: `forgetting train faces-embedding --again`, with CelebA and LFW.
- **Use**: research on unlearning and its evaluation. It is far weaker than a face recogniser, and
  must not be used to identify anybody.
- **Licence**: **non-commercial research only**, as the data; see the notice in `zoo/README.md`.
"""

RECIPES.register(NAME)(Measurement(make_faces_embedding, needs=(CLASSIFIER,)))
