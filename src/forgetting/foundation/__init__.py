"""What every room stands on: files, the cache, memory, registries, and where all lies.

Nothing here depends on what the study is about. The foundation imports `errors` alone.
"""
