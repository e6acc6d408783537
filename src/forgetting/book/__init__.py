"""The book: templates, runs and their records, pages, figures, tables and checks.

The book is one user of the library among others. It may import every other wing, and only `cli`
imports it. Its functions work on a `Checkout`, by default on the one that the package is run from
(`checkout.HERE`). Nothing outside this wing imports Jupyter, matplotlib or pandas.
"""
