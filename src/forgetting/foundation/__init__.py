"""What every wing stands on: files, the cache, registries, and where the project's parts lie.

Nothing here depends on what the study is about. The foundation imports `errors` alone.
"""
