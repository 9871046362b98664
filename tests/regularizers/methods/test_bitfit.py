import torch


def test_biases_and_head_train_with_its_rate_and_nothing_else_moves(lab):
    trial, plain = lab("bitfit(0.004)"), lab("none", lr=0.004)
    trained = {name for name in trial.start if name.endswith("bias") or name.startswith("classifier")}
    assert trial.rates() == dict.fromkeys(trained, 0.004) and set(trial.touched) == trained - {
        "classifier.weight",
        "classifier.bias",
    }
    trial.run(1), plain.run(1)
    moved = plain.parameters()
    for name, p in trial.parameters().items():
        torch.testing.assert_close(p, moved[name] if name in trained else trial.start[name], rtol=1e-10, atol=1e-12)
