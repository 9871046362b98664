"""Real GLUE files and a real pretrained encoder through the whole command."""

import json
from pathlib import Path

from benchmarks.run import main


def test_one_percent_of_rte_trains_on_a_real_encoder(shared_data: Path, real_bert: Path, tmp_path: Path) -> None:
    """25 examples are one short batch; a script that drops the last batch would train on none."""
    argv = ["--model", str(real_bert), "--data-dir", str(shared_data / "glue"), "--tasks", "RTE", "--offline"]
    strategies = ["mixout(w_pre, 0.7) + wdecay(w_pre, 0.01)"]
    request = [*argv, "--strategies", *strategies, "--fractions", "0.01", "--restarts", "1", "--set", "epochs=1"]
    assert main([*request, "--output", str(tmp_path)]) == 0
    (record,) = [json.loads(path.read_text()) for path in (tmp_path / "records").iterdir()]
    result = record["result"]
    assert len(result["train_loss"]) == 1
    assert len(result["predictions"]) == 277
    assert abs(result["floor"] - 146 / 277) < 1e-12  # the majority class of RTE's dev set
    mixed = result["touched"]["mixout(w_pre, 0.7)"]
    assert len(mixed) == 6 * 5 + 1
    assert "bert.encoder.layer.0.intermediate.dense" not in mixed, "no dropout follows it"
    assert not any(name.startswith("classifier") for names in result["touched"].values() for name in names)
    assert str(real_bert.parent) not in json.dumps(record), "a record must not carry a path"
