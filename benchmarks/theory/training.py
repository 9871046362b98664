"""Training of bare modules with the project's own strategies and loop, on the CPU."""

from collections.abc import Callable, Sequence

from accelerate import Accelerator

from benchmarks.trial.environment import isolated
from regularizers.base import Batch, Context
from regularizers.loop import Recipe, fit
from regularizers.strategy import parse


def train(
    strategy: str,
    context: Context,
    batches: Callable[[int], Sequence[Batch]],
    *,
    epochs: int,
    lr: float,
    warmup: float,
    noise_seed: int,
    eps: float = 1e-6,
) -> None:
    """Attach the strategy to `context.model` and train it; afterwards the model is in evaluation mode.

    Adam (0.9, 0.999, bias correction on), linear decay after a warm-up of `warmup` of the steps, no clipping.
    torch's default generator is seeded by `noise_seed` inside and left as it was.
    """
    recipe = Recipe(
        epochs=epochs,
        lr=lr,
        beta1=0.9,
        beta2=0.999,
        eps=eps,
        warmup=warmup,
        schedule="linear",
        clip=0.0,
        bias_correction=True,
        micro_batch=0,
    )
    with isolated(noise_seed):
        bound = parse(strategy).bind(context)
        bound.attach()
        bound.start(lambda: batches(0))
        fit(bound, batches, recipe, accelerator=Accelerator(cpu=True))
