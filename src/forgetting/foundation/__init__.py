"""What every room stands on: files, the cache, memory, registries, and the project's places.

Nothing here depends on what the study is about. The foundation imports `errors` alone.
"""
