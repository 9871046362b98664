"""What only a GPU can show: a trial repeats there, waits for nothing, and computes what it computes on the host."""

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState

from benchmarks.executors.local import LocalExecutor, find_devices
from benchmarks.executors.outcome import Status, Work
from benchmarks.trial.config import TrialConfig
from benchmarks.trial.environment import isolated
from benchmarks.trial.inputs import Resources
from benchmarks.trial.trial import build, load_inputs
from regularizers.context import to_device
from regularizers.loop import make_optimizer, step
from regularizers.surgery.forward import prepare
from regularizers.surgery.packing import PACKINGS
from regularizers.testing.tiny_families import tiny_family

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
Make = Callable[..., list[TrialConfig]]
Train = Callable[..., dict[str, Any]]
STRATEGIES = (
    "none",
    "dropout(0.1) + wdecay(0, 0.01)",
    "wdecay(w_pre, 0.01, form=coupled)",
    "mixout(w_pre, 0.7) + head:mixout(w_0, 0.7)",
    "guided_dropout(0, 0.1)",
    "ema(0.9) + dropout(0.1)",
)
EXACT = ("bert", "electra", "distilbert", "roberta", "xlm-roberta", "camembert", "data2vec-text", "gpt2", "opt")


@contextmanager
def no_waiting() -> Iterator[None]:
    """Within it whatever waits for the GPU raises RuntimeError."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_step_waits_for_nothing(strategy: str, precision: str, make_configs: Make, resources: Resources) -> None:
    (config,) = make_configs(strategy, precision=precision)
    with isolated(0):
        training = build(config, resources, load_inputs(config, resources))
        bound, batches = training.strategy, training.order(0)
        bound.start(lambda: batches)
        bound.context.training.optimizer = make_optimizer(bound, training.recipe)
        bound.context.model.train()
        step(bound, to_device(batches[0], training.accelerator.device), training.recipe, training.accelerator)
        with no_waiting():
            for batch in batches[1:4]:
                step(bound, to_device(batch, training.accelerator.device), training.recipe, training.accelerator)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_trial_repeats(strategy: str, train: Train) -> None:
    first, second = (train(strategy, epochs=1) for _ in range(2))
    assert first["environment"]["device"] == torch.cuda.get_device_name()
    for name in ("status", "score", "predictions", "train_loss", "logits", "deviation"):
        assert first["result"][name] == second["result"][name], name


def test_a_trial_without_noise_gives_what_the_host_gives(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    """The losses of a few steps agree up to rounding."""
    there = train("none", epochs=1)["result"]["train_loss"]
    AcceleratorState._reset_state(reset_partial_state=True)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    here = train("none", epochs=1)["result"]["train_loss"]
    AcceleratorState._reset_state(reset_partial_state=True)
    assert there == pytest.approx(here, rel=1e-3) and here


@pytest.mark.parametrize("family", PACKINGS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_every_family_computes_the_same_packed(family: str, dtype: torch.dtype) -> None:
    """Logits and gradients of the packed pass on the GPU and of the model's own on the host.

    Rotary positions and some norms are computed in float32 whatever the model's type, which differs by up to 1.3e-6.
    """
    model, _ = tiny_family(family)
    other, device = copy.deepcopy(model).to(dtype), torch.device("cuda")
    run = prepare(other.to(device), "packed")
    lengths = torch.tensor([5, 3, 9, 3, 1, 9])
    mask = (torch.arange(11)[None] < lengths[:, None]).long()
    ids = torch.randint(3, 30, mask.shape, generator=torch.Generator().manual_seed(4)) * mask
    batch = {"input_ids": ids, "attention_mask": mask}
    expected = model.double().eval()(**batch).logits
    got = run(other.eval(), to_device(batch, device)).cpu().double()
    tolerance = {torch.float64: 1e-10 if family in EXACT else 1e-5, torch.float32: 1e-4}[dtype]
    assert (expected - got).abs().max() <= tolerance * expected.abs().max()
    expected.square().sum().backward()
    run(other, to_device(batch, device)).square().sum().backward()
    pairs = [
        (p.grad, q.grad) for p, q in zip(model.parameters(), other.parameters(), strict=True) if p.grad is not None
    ]
    scale = max(float(one.abs().max()) for one, _ in pairs)
    assert all(float((one - two.cpu()).abs().max()) <= 10 * tolerance * scale for one, two in pairs)


def test_two_trials_share_the_gpu(make_configs: Make, resources: Resources, tmp_path: Path) -> None:
    configs = make_configs("none", "dropout(0.1)", epochs=1)
    executor = LocalExecutor(find_devices(None, 2, 1), threads=1, timeout=None)
    assert executor.capacity == 2 * torch.cuda.device_count()
    try:
        work = [Work(config.to_json(), resources, str(tmp_path), 1) for config in configs]
        outcomes: list[Any] = [future.result() for future in [executor.submit(each) for each in work]]
    finally:
        executor.close()
    assert all(outcome.status in (Status.OK, Status.FAILED) for outcome in outcomes), outcomes
    assert len({outcome.device.slot for outcome in outcomes}) == 2


def test_bf16_computes_in_bf16(train: Train) -> None:
    half, full = (train("none", precision=precision, epochs=1)["result"] for precision in ("bf16", "fp32"))
    assert half["status"] in ("ok", "failed")
    assert all(map(math.isfinite, half["train_loss"]))
    assert half["train_loss"] != full["train_loss"]
    assert half["train_loss"][0] == pytest.approx(full["train_loss"][0], rel=0.02)
