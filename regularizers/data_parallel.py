"""One training step over several processes: each takes its part of every batch, and gradients are summed.

All processes hold the same weights and draw the same weight masks. A batch of n examples is cut into consecutive parts;
the loss of a part counts with its share of the n examples, so that the sum of the gradients is that of the whole batch
but for the order of additions. A loss that is not a mean over examples (flooding) sees the parts as it sees
micro-batches. With one process nothing here acts.
"""

import contextlib
import hashlib
from collections.abc import Iterable, Iterator

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from regularizers.base import Batch


def part(batch: Batch, accelerator: Accelerator) -> tuple[float, Batch]:
    """This process's share of the batch's examples, and those examples.

    A process for which a short batch has none takes the first one with share 0, so that all run the same code.
    """
    size, rank, count = accelerator.num_processes, accelerator.process_index, len(batch["labels"])
    if size == 1:
        return 1.0, batch
    begin, end = rank * count // size, (rank + 1) * count // size
    taken = slice(begin, end) if end > begin else slice(0, 1)
    return (end - begin) / count, {name: value[taken] for name, value in batch.items()}


def sum_gradients(parameters: Iterable[nn.Parameter], accelerator: Accelerator) -> None:
    """Replace every gradient by its sum over the processes; the same bits on all of them."""
    if accelerator.num_processes > 1:
        for parameter in parameters:
            if parameter.grad is not None:
                torch.distributed.all_reduce(parameter.grad)


def sum_over_processes(loss: Tensor, accelerator: Accelerator) -> Tensor:
    """The sum of a scalar over the processes."""
    if accelerator.num_processes > 1:
        torch.distributed.all_reduce(loss)
    return loss


def require_same(parameters: Iterable[nn.Parameter], accelerator: Accelerator) -> None:
    """Raise RuntimeError unless all processes hold the same weights, as they do if they drew the same masks."""
    if accelerator.num_processes == 1:
        return
    sums = torch.stack([parameter.detach().double().sum() for parameter in parameters])
    first = sums.clone()
    torch.distributed.broadcast(first, src=0)
    differ = ((first != sums) & ~(first.isnan() & sums.isnan())).any().to(torch.float64)
    if sum_over_processes(differ, accelerator) > 0:
        raise RuntimeError("the processes' weights differ: a technique draws masks of weights outside `draw`")


@contextlib.contextmanager
def own_noise(generator: torch.Generator, accelerator: Accelerator) -> Iterator[None]:
    """Within it other processes than the first draw noise of their own; afterwards all have the same state again.

    Noise on activations depends on the part of the batch; masks of weights, drawn outside, must agree.
    """
    if accelerator.num_processes == 1:
        yield
        return
    before = generator.get_state()
    if accelerator.process_index:
        text = before.numpy().tobytes() + str(accelerator.process_index).encode()
        generator.manual_seed(int.from_bytes(hashlib.sha256(text).digest()[:7], "big"))
    entered = generator.get_state()
    yield
    used = not torch.equal(generator.get_state(), entered)
    generator.set_state(before)
    if used:
        generator.manual_seed(int.from_bytes(hashlib.sha256(before.numpy().tobytes()).digest()[:7], "big"))
