"""Where the project lives in public: one address, from which every link is made.

This module imports nothing, so that the build of the package can read it.
"""

REPOSITORY = ""
"""Address of the repository on GitHub, with no slash at its end; empty while there is none."""

BRANCH = "main"
"""Branch of the repository that links lead to."""


def urls() -> dict[str, str]:
    """Return the links of the package's page by label; none while there is no address."""
    if not REPOSITORY:
        return {}
    return {
        "Homepage": REPOSITORY,
        "Changelog": f"{REPOSITORY}/blob/{BRANCH}/CHANGELOG.md",
        "Issues": f"{REPOSITORY}/issues",
    }


def release_file(version: str, file: str) -> str | None:
    """Return the address of a file of a release, or None while there is no address.

    Parameters
    ----------
    version : str
        Of the package, as in `forgetting.__version__`.
    file : str
        Name of the file.
    """
    return f"{REPOSITORY}/releases/download/v{version}/{file}" if REPOSITORY else None
