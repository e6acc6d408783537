"""The software bill: every package of constraints.txt, with its version and its licence.

    make bill        or        python benchmarks/bill.py

Writes `results/bill.cdx.json` in the form CycloneDX, from the packages that are installed, by
cyclonedx-bom. Links and descriptions are left out.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from forgetting.foundation.files import ROOT, write_text

OUTPUT = ROOT / "results" / "bill.cdx.json"

KEPT = ("type", "bom-ref", "name", "version", "purl", "licenses")
"""What is said of a package."""


def pinned() -> dict[str, str]:
    """Return the versions in constraints.txt by the names of packages, as a bill writes them."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = (line.partition("==") for line in lines if "==" in line)
    return {plain(name): version for name, _, version in pins}


def plain(name: str) -> str:
    """Return the name of a package in the form in which two spellings are equal."""
    return re.sub(r"[-_.]+", "-", name).lower()


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Write the bill of the installed packages that constraints.txt pins."""
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bill.json"
        subprocess.run([*command, "--of", "JSON", "-o", str(path), sys.executable], check=True)
        bill = json.loads(path.read_text(encoding="utf-8"))
    pins = pinned()
    found = {plain(each["name"]): each for each in bill["components"]}
    for name, version in pins.items():
        here = found[name]["version"].partition("+")[0] if name in found else "none"
        if here != version:
            raise click.ClickException(f"{name} {here} is installed, and {version} is pinned.")
    packages = [each for name, each in found.items() if name in pins]
    content = {
        "bomFormat": bill["bomFormat"],
        "specVersion": bill["specVersion"],
        "version": 1,
        "components": [{k: each[k] for k in KEPT if k in each} for each in packages],
    }
    write_text(OUTPUT, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
