"""Which metrics of records `results/README.md` explains."""

import re

from forgetting.foundation.files import ROOT


def unexplained(metrics):
    """Return the names of metrics that no row of a table explains."""
    explained = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
    patterns = re.findall(r"^\| `([^`]+)`", explained, flags=re.M)
    allowed = [re.compile(re.sub(r"[A-Z]+", r"[a-z0-9_]+", pattern)) for pattern in patterns]
    stems = {name: re.sub(r"_(low|high|std)$", "", name) for name in metrics}
    return [
        name
        for name, stem in stems.items()
        if not any(pattern.fullmatch(stem) for pattern in allowed)
    ]
