"""The losses of taming, of bits/dim (Malnick, Avidan and Fried, WACV 2024)."""

import torch

from forgetting.methods.retain_set import TamedReference
from forgetting.methods.taming_config import Divergence, TamingConfig


def forget_loss(
    bpd: torch.Tensor,
    pressures: torch.Tensor | None,
    reference: TamedReference,
    config: TamingConfig,
) -> torch.Tensor:
    """Return L_forget of bits/dim (F,): of pressures (F,), of the threshold, or of ascent."""
    if pressures is not None:
        return -((pressures - pressures.mean()).to(bpd.device) * bpd).mean()
    if config.objective == "ascent":
        return -config.delta * bpd.mean()
    threshold = reference.mu + config.delta * reference.sigma
    distance = (bpd - threshold) / config.distance_scale
    return torch.sigmoid(distance**2).mean()


def retain_divergence(base: torch.Tensor, tamed: torch.Tensor, kind: Divergence) -> torch.Tensor:
    """Return the KL terms of L_retain, a scalar, of bits/dim (B,) under base and tamed flow."""
    log_gradient = not kind.endswith("as_released")
    kl = torch.zeros(())
    if not kind.startswith("reverse"):
        kl = kl + gaussian_kl(base, tamed, log_gradient)
    if not kind.startswith("forward"):
        kl = kl + gaussian_kl(tamed, base, log_gradient)
    return kl


def gaussian_kl(p: torch.Tensor, q: torch.Tensor, log_gradient: bool = True) -> torch.Tensor:
    """Return KL(N_p || N_q) of the Gaussians fitted to two samples (B,).

    It is log(s_q / s_p) + (s_p^2 + (m_p - m_q)^2) / (2 s_q^2) - 1/2, with means m and standard
    deviations s. Without `log_gradient` no gradient flows through the logarithms.
    """
    (p_std, p_mean), (q_std, q_mean) = torch.std_mean(p), torch.std_mean(q)
    ratio = (p_std**2 + (p_mean - q_mean) ** 2) / (2 * q_std**2)
    log = torch.log(q_std) - torch.log(p_std)
    return (log if log_gradient else log.detach()) + ratio - 0.5
