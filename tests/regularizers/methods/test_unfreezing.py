"""lp_ft and gradual_unfreezing: who trains when, and that waiting leaves no trace in Adam."""

import pytest
import torch

from regularizers.methods.gradual_unfreezing import lowest_trained

STAGES = {"bert.embeddings": 0, "encoder.layer.0.": 1, "encoder.layer.1.": 2, "encoder.layer.2.": 3}


def stage(name):
    return next((at for part, at in STAGES.items() if part in name), 4)


def trained(trial):
    """Names of what moves in the next step, and of what Adam has a state for."""
    before = trial.parameters()
    trial.run(1)
    moved = {name for name, p in trial.parameters().items() if not torch.equal(p, before[name])}
    state = trial.context.training.optimizer.state
    return moved, {name for name, p in trial.model.named_parameters() if p in state}


@pytest.mark.parametrize(("share", "alone"), [(0.4, 2), (0.41, 3), (1, 5)])
def test_the_head_trains_alone_at_first(share, alone, lab):
    trial = lab(f"lp_ft({share})")
    for step in range(5):
        moved, known = trained(trial)
        head = {"classifier.weight", "classifier.bias"}
        assert (moved == known == head) if step < alone else moved > head


def test_layers_join_from_the_top(lab):
    trial = lab("gradual_unfreezing(0.8)")
    for step in range(5):
        moved, known = trained(trial)
        assert min(map(stage, moved)) == 4 - step == min(map(stage, known))
        assert {stage(name) for name in moved} == set(range(4 - step, 5))


def test_stages_share_the_steps_evenly_and_all_train_afterwards():
    steps = [lowest_trained(step, 100, 0.5, 13) for step in range(100)]
    assert steps[0] == 13 and steps[50:] == [0] * 50 and sorted(steps, reverse=True) == steps
    counts = [steps[:50].count(at) for at in range(1, 14)]
    assert min(counts) >= 3 and max(counts) <= 4 and sum(counts) == 50
    assert lowest_trained(0, 100, 0, 13) == 0 and lowest_trained(99, 100, 1, 13) == 1
