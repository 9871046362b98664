import torch


def test_the_top_layers_and_the_pooler_start_from_scratch_and_the_rest_stays(lab):
    trial, generator = lab("reinit(2)"), torch.Generator().manual_seed(31)
    fresh = ("bert.encoder.layer.1.", "bert.encoder.layer.2.", "bert.pooler.")
    assert trial.touched == [name for name in trial.start if name.startswith(fresh)]
    for name, p in trial.model.named_parameters():
        if not name.startswith(fresh):
            expected = trial.start[name]
        elif name.endswith("bias"):
            expected = torch.zeros_like(p)
        elif "LayerNorm" in name:
            expected = torch.ones_like(p)
        else:
            expected = torch.empty(p.shape, dtype=torch.float64).normal_(0, 0.02, generator=generator)
        assert torch.equal(p, expected), name
        assert torch.equal(trial.context.initial[name], trial.start[name])  # w_pre stays the checkpoint
