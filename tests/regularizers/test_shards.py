"""Parts of a batch add up to the batch, and all processes draw the same masks."""

import contextlib
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from regularizers import data_parallel as shards


def process(rank: int, size: int) -> Any:
    return SimpleNamespace(process_index=rank, num_processes=size)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 32])
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_parts_weighted_by_their_shares_give_the_gradient_of_the_whole_batch(count: int, size: int) -> None:
    x = torch.randn(count, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    batch = {"x": x, "labels": x[:, 0]}
    w = torch.ones(3, dtype=torch.float64, requires_grad=True)

    def gradient(part: dict[str, torch.Tensor]) -> torch.Tensor:
        loss = ((part["x"] @ w - part["labels"]) ** 2).mean()
        return torch.autograd.grad(loss, w)[0]

    parts = [shards.part(batch, process(rank, size)) for rank in range(size)]
    assert sum(share for share, _ in parts) == pytest.approx(1)
    assert torch.allclose(sum(share * gradient(part) for share, part in parts), gradient(batch), atol=1e-12)
    seen = torch.cat([part["labels"] for share, part in parts if share])
    assert torch.equal(seen, batch["labels"]), "each example once, in order"


@pytest.mark.parametrize("draws", [0, 1, 5])
def test_noise_differs_between_processes_and_their_masks_agree_afterwards(draws: int) -> None:
    generators = [torch.Generator().manual_seed(3) for _ in range(3)]
    noise = []
    for rank, generator in enumerate(generators):
        with shards.own_noise(generator, process(rank, 3)):
            noise.append(torch.rand(draws + rank if draws else 0, generator=generator).tolist()[:1])
    masks = [torch.rand(4, generator=generator) for generator in generators]
    assert torch.equal(masks[0], masks[1]) and torch.equal(masks[0], masks[2])
    if draws:
        assert noise[0] != noise[1] != noise[2]
    else:
        assert torch.equal(masks[0], torch.rand(4, generator=torch.Generator().manual_seed(3))), "as in one process"


def test_the_noise_of_a_step_is_not_that_of_the_step_before_moved_by_one() -> None:
    generator = torch.Generator().manual_seed(3)
    steps = []
    for _ in range(2):
        with shards.own_noise(generator, process(0, 2)):
            steps.append(torch.rand(1000, generator=generator))
    assert not set(steps[0].tolist()) & set(steps[1].tolist())


@pytest.mark.parametrize(
    ("first", "mine", "same"), [([1.0], [1.0], True), ([math.nan], [math.nan], True), ([1.0], [math.nan], False)]
)
def test_weights_that_differ_between_processes_are_refused_and_broken_ones_are_alike(
    monkeypatch: pytest.MonkeyPatch, first: list[float], mine: list[float], same: bool
) -> None:
    def broadcast(sums: torch.Tensor, src: int) -> None:
        sums.copy_(torch.tensor(first))

    monkeypatch.setattr(torch.distributed, "broadcast", broadcast)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda value: None)
    expected = contextlib.nullcontext() if same else pytest.raises(RuntimeError, match="the processes' weights differ")
    with expected:
        shards.require_same([torch.nn.Parameter(torch.tensor(mine))], process(1, 2))


def test_one_process_is_left_alone() -> None:
    generator = torch.Generator().manual_seed(3)
    with shards.own_noise(generator, process(0, 1)):
        torch.rand(2, generator=generator)
    expected = torch.Generator().manual_seed(3)
    torch.rand(2, generator=expected)
    assert torch.equal(generator.get_state(), expected.get_state())
    shards.require_same([], process(0, 1))
