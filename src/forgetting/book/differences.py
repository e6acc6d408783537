"""What tells runs apart beside their figures: parameters, weights and circumstances."""

from collections.abc import Mapping
from pathlib import Path

from forgetting.book.checkout import Checkout
from forgetting.book.records import Record, read_record

NO_SETTING = ("seed", "device")
"""Parameters that may differ between runs of one setting."""

WITHOUT_USE = {
    "moon2024": ("rounds",),
    "until_gone": (
        *("lr", "alpha", "perceptual", "pixels", "reconstruction"),
        *("form", "projection_threshold", "manual_labels"),
    ),
}
"""Parameters by the `method` of a template that has two, of which that one makes no use."""

CIRCUMSTANCES = ("cpu", "threads", "device", "bfloat16", "python", "revision")
"""What differs between machines and states of the library, beside data and versions."""


def differing(
    own: Record, path: Path, published: Mapping[str, Record], checkout: Checkout
) -> dict[str, tuple[str, str]]:
    """Return parameters, weights and circumstances that differ from those of published runs.

    Parameters
    ----------
    own : dict
        Record of one's own run.
    path : Path
        Its file; its circumstances stand beside it.
    published : mapping of str to dict
        Records of published runs by name.

    Returns
    -------
    dict of str to (published, own)
        As texts; several published ones in a row.
    """
    described = [_described(r, checkout.results / f"{n}.run.json") for n, r in published.items()]
    theirs = {
        key: ", ".join(dict.fromkeys(each.get(key, "–") for each in described))
        for key in dict.fromkeys(key for each in described for key in each)
    }
    ours = _described(own, path.with_name(f"{path.stem}.run.json"))
    return {
        key: (theirs.get(key, "–"), ours.get(key, "–"))
        for key in dict.fromkeys([*theirs, *ours])
        if theirs.get(key) != ours.get(key)
    }


def setting_of(record: Record) -> dict[str, str]:
    """Return the parameters that make the setting of a run, as texts.

    Parameters
    ----------
    record : dict

    Returns
    -------
    dict of str to str
    """
    return {n: v for n, v in _used(record).items() if n not in NO_SETTING}


def _used(record: Record) -> dict[str, str]:
    """Return the parameters of a run as texts, without those that its method has no use for.

    Records from before a template had two methods have no `method`, and are of the first.
    """
    parameters = {n: str(v) for n, v in record["parameters"].items()}
    method = parameters.get("method", "")
    idle = WITHOUT_USE.get(method, ())
    return {
        name: value
        for name, value in parameters.items()
        if name not in idle and (name, value) != ("method", "moon2024")
    }


def _described(record: Record, circumstances: Path) -> dict[str, str]:
    """Return the parameters, weights and circumstances of a run as texts."""
    weights = {f"weights of {n}": h[:12] for n, h in record.get("weights", {}).items()}
    return _used(record) | weights | _circumstances(circumstances)


def _circumstances(path: Path) -> dict[str, str]:
    """Return what else a run depends on; nothing where its circumstances are not there."""
    if not path.is_file():
        return {}
    noted = read_record(path)
    kept = {name: str(noted[name]) for name in CIRCUMSTANCES if name in noted}
    data = {f"data: {name}": text for name, text in noted.get("data", {}).items()}
    versions = {name: str(version) for name, version in noted.get("versions", {}).items()}
    return kept | data | versions
