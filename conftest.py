"""How pytest compares notebooks that nbval executes: as `forgetting validate` does."""

from forgetting.book.comparison import pytest_itemcollected  # noqa: F401  (a hook)
