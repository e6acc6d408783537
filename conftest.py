"""How notebooks are validated: progress bars and kernel messages are not compared."""


def pytest_collectstart(collector):
    """Keep stderr out of what nbval compares."""
    if getattr(collector, "skip_compare", None) is not None:
        collector.skip_compare += ("stderr",)
