"""Points that a flow shall forget and retain, and settings of taming that suit such a flow."""

from forgetting.methods.taming import TamingConfig

CONFIG = TamingConfig(lr=0.02, delta=2, distance_scale=2, max_steps=400, retain_batch_size=64)


def sets(flow, n_forget=3):
    """Return the points nearest to one centre, to forget, and the others, to retain."""
    points = flow.sample(600, 1)
    near = (points - flow.centres[0].detach()).norm(dim=1).argsort()
    return points[near[:n_forget]], points[near[n_forget:]]
