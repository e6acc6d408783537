"""Fit the embedding of faces: a linear map of classifier A's features that tells people apart."""

import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from forgetting.data.faces import load_faces
from forgetting.inference import embeddings, features
from forgetting.metrics.identity import N_STRANGERS, pairs, verification
from forgetting.models.classifier import Classifier
from forgetting.models.embedding import Embedding, EmbeddingConfig
from forgetting.zoo import store as zoo

NAME = "faces-embedding"
CLASSIFIER = "faces-classifier-a"

PER_PERSON = 20
"""Images of one person that are used, at most: a few people would outweigh all others."""


def make_faces_embedding() -> None:
    """Fit the embedding on the people of CelebA and LFW that are trained on, and save it.

    The record holds how well it tells held-out people of LFW apart, at 32 and 64 px, and the
    similarity over which two images count as one person.

    Raises
    ------
    DataError
        CelebA or LFW is not here.
    """
    classifier = zoo.load(CLASSIFIER)
    assert isinstance(classifier, Classifier)
    config = EmbeddingConfig(classifier=classifier.config, n_dims=64)
    model = Embedding(config).eval().requires_grad_(False)
    model.classifier.load_state_dict(classifier.state_dict())
    sets = [(s, load_faces(s, "train", 64), load_faces(s, "train", 32)) for s in ("celeba", "lfw")]
    names = [f"{source}/{person}" for source, faces, _ in sets for person in faces.people]
    chosen = _chosen(names)
    found = [  # both sizes of a face are one person's
        torch.cat([features(model, faces[place].images) for faces in sets])[chosen]
        for place in (1, 2)
    ]
    people = [names[i] for i in chosen]
    lda = LinearDiscriminantAnalysis(n_components=config.n_dims)
    lda.fit(torch.cat(found).double().numpy(), people + people)
    matrix = torch.from_numpy(lda.scalings_[:, : config.n_dims]).float()
    model.projection.weight.copy_(matrix.T)
    model.projection.bias.copy_(-torch.from_numpy(lda.xbar_).float() @ matrix)
    entry = {
        "kind": "embedding",
        "config": config.model_dump(mode="json"),
        "parts": {"classifier": CLASSIFIER},
        "classifier": {CLASSIFIER: zoo.record(CLASSIFIER)["sha256"]},
        "n_images": len(chosen),
        "n_people": len(set(people)),
        "verification": {},
    }
    for size in (32, 64):
        faces = load_faces("lfw", "held_out", size)
        similarity, same = pairs(embeddings(model, faces.images), faces.people, N_STRANGERS)
        auc, threshold, recall = verification(similarity, same)
        entry["verification"][str(size)] = {
            "auc": auc.value,
            "auc_low": auc.low,
            "auc_high": auc.high,
            "threshold": threshold,
            "recall": recall,
        }
    zoo.save(NAME, model, entry, _CARD)


def _chosen(names: list[str]) -> list[int]:
    """Return which images are used: of people with two or more, `PER_PERSON` at most."""
    places: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        places.setdefault(name, []).append(i)
    return sorted(i for found in places.values() if len(found) > 1 for i in found[:PER_PERSON])


_CARD = """# faces-embedding

An embedding of faces: classifier A's features, of an image and of its mirror image, through the linear
discriminant analysis that best tells the people of CelebA and LFW apart. It says how alike two
faces are, for the study's measures of forgetting a person.

- **Kind**: `embedding`; load it with `forgetting.zoo.load("faces-embedding")`. How well it tells
  held-out people apart, and the similarity that one pair of strangers in 100 reaches, stand in
  `faces-embedding.json`.
- **Again**: `forgetting train faces-embedding`, with CelebA and LFW.
- **Use**: research on unlearning and its evaluation. It is far weaker than a face recogniser, and
  must not be used to identify anybody.
- **Licence**: **non-commercial research only**, as the data; see the notice in `zoo/README.md`.
"""
