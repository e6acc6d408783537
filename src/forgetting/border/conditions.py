"""The circumstances of a computation: number format, gradients and random numbers.

Whatever a program has set for itself, a function of the library computes under the same
circumstances, and leaves the program's own settings and random numbers as they were.
"""

import contextlib
import hashlib
import threading
from collections.abc import Iterator

import torch

MAX_SEED = 2**62
"""Largest seed; torch takes no more than 2**64, and a function may add to a seed."""


_OF_THE_PROCESS = threading.RLock()
"""Held while a thread has its own conditions: torch has one set of them for all threads."""


@contextlib.contextmanager
def own_conditions(seed: int = 0, *, gradients: bool = True) -> Iterator[None]:
    """Run a block in float32, with or without gradients, with random numbers of its own.

    The default number format and device, the precision of matrix products, inference mode,
    `no_grad`, autocast and the state of torch's global random generators are the caller's again
    after the block. A model that draws from the global generators therefore gives equal results
    for equal seeds. The conditions are those of the whole process, so that blocks of several
    threads run one after the other.

    Parameters
    ----------
    seed : int
        Gives the seed of torch's global random generators in the block. It is another one, so
        that what a model draws from these has nothing to do with latents of the same seed.
    gradients : bool
        Whether the block computes gradients.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(_OF_THE_PROCESS)
        number_format = torch.get_default_dtype()
        products = torch.get_float32_matmul_precision()
        for kind in ("cpu", "cuda", "mps"):
            if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.set_grad_enabled(gradients))
        stack.enter_context(seeded(stream_seed(seed, "of the process")))
        stack.callback(torch.set_default_dtype, number_format)
        torch.set_default_dtype(torch.float32)
        if products != "highest":
            stack.callback(torch.set_float32_matmul_precision, products)
            torch.set_float32_matmul_precision("highest")
        yield


def stream_seed(seed: int, stream: str) -> int:
    """Return a seed of its own for a named use of random numbers.

    What is measured with it shares no latents with what a method of the same seed, or of one near
    it, is tuned on.

    Parameters
    ----------
    seed : int
        Of all uses.
    stream : str
        The name of this one.
    """
    digest = hashlib.sha256(f"{seed}/{stream}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run a block with torch's global random generators at a seed, and restore their states."""
    generators = [torch.default_generator]
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        generators += torch.cuda.default_generators
    with contextlib.ExitStack() as stack:
        for generator in generators:
            stack.callback(generator.set_state, generator.get_state())
            generator.manual_seed(seed)
        if torch.backends.mps.is_available():
            stack.callback(torch.mps.set_rng_state, torch.mps.get_rng_state())
            torch.mps.manual_seed(seed)
        yield
