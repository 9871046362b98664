"""Directions, variants, surfaces and the landscape command."""

import json
import math
import re
from pathlib import Path

import pytest
import torch

from fisher.estimate import main as estimate_main
from fisher.estimation.estimate import draw_samples
from fisher.landscape import main
from fisher.pretraining.checkpoint import load_pretrained
from fisher.pretraining.objectives import objective_loss
from fisher.surfaces import landscape
from fisher.surfaces.directions import chosen_tensors, directions, parse_variant
from fisher.surfaces.landscape import Points
from fisher.surfaces.plane import axis, loss_at, mean_loss, perturbation, sharpness

SCORES = {"a": 4.0, "b": 3.0, "c": 2.0, "bias": 5.0}
SHAPES = {"a": (2, 3), "b": (4, 3), "c": (5, 1), "bias": (3,)}


def test_rows_of_a_direction_have_the_norms_of_the_weights_rows():
    torch.manual_seed(0)
    weights = {"w": torch.randn(4, 3, 2), "bias": torch.randn(4)}
    weights["w"][1] = 0
    first, second = directions(weights, seed=0)
    assert list(first) == ["w"] and not torch.equal(first["w"], second["w"])
    assert torch.allclose(first["w"].flatten(1).norm(dim=1), weights["w"].flatten(1).norm(dim=1))
    whole, _ = directions(weights, seed=0, normalise="tensor")
    assert torch.allclose(whole["w"].norm(), weights["w"].norm())
    assert not torch.allclose(whole["w"].flatten(1).norm(dim=1), weights["w"].flatten(1).norm(dim=1))


def test_a_tensors_directions_depend_on_seed_and_name_alone():
    weights = {"w": torch.ones(3, 2), "v": torch.ones(3, 2)}
    both, alone, other = (
        directions(weights, seed=0),
        directions({"w": weights["w"]}, seed=0),
        directions(weights, seed=1),
    )
    assert torch.equal(both[0]["w"], alone[0]["w"]) and torch.equal(both[1]["w"], alone[1]["w"])
    assert not torch.equal(both[0]["w"], both[0]["v"]) and not torch.equal(both[0]["w"], other[0]["w"])


def chosen(text, *, seed=0, **options):
    return chosen_tensors(SCORES, SHAPES, parse_variant(text), seed=seed, **options)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (chosen("all"), ["a", "b", "bias", "c"]),
        (chosen("top:50"), ["a", "bias"]),
        (chosen("bottom:50"), ["b", "c"]),
        (chosen("top:50", among="matrices"), ["a", "b"]),
        (chosen("top:1"), ["bias"]),
        (chosen("random:50"), chosen("random:50")),
        ({len(chosen("random:50", seed=seed)) for seed in range(20)}, {2}),
        (len({tuple(chosen("random:50", seed=seed)) for seed in range(20)}) > 1, True),
        (sharpness([[1.0, 2.0], [3.0, 6.0]], 1.0), 2.0),  # the mean rise
        (sharpness([[1.0, float("nan")]], 1.0), float("inf")),
    ],
)
def test_variants_choose_by_score_and_sharpness_is_the_mean_rise(found, expected):
    assert found == expected


@pytest.mark.parametrize("text", ["all", "top:50", "bottom:12.5", "random:10"])
def test_variants_are_written_as_they_are_read(text):
    assert str(parse_variant(text)) == text


@pytest.mark.parametrize("text", ["some", "top", "top:0", "top:101", "top:x", "all:50"])
def test_what_is_no_variant_is_refused(text, refusal):
    assert re.search(r"a variant must be all, or top:N, .* in \(0, 100\], got '", refusal(parse_variant, text))


def test_the_perturbation_norm_is_the_root_mean_square_over_the_grid():
    torch.manual_seed(0)
    planes = directions({"a": torch.randn(2, 3), "b": torch.randn(4, 3)}, seed=0)
    coordinates = axis(1.5, 4)
    assert coordinates == [-1.5, -0.5, 0.5, 1.5]
    squares = [
        float((x * planes[0]["a"] + y * planes[1]["a"]).square().sum()) for x in coordinates for y in coordinates
    ]
    found = perturbation(["a", "bias"], planes, coordinates)
    assert (found["tensors"], found["moved_tensors"], found["moved_parameters"]) == (2, 1, 6)
    assert found["perturbation_norm"] == pytest.approx((sum(squares) / 16) ** 0.5)


def test_a_point_moves_the_named_tensors_and_puts_them_back(family_model, family_tokenizer, random_texts):
    model = family_model("bert").eval()
    drawn = draw_samples(
        family_tokenizer("bert"), random_texts(5), "mlm", samples=5, seed=0, max_length=32, sentinels="spans"
    )
    loss, name = objective_loss("mlm"), "bert.encoder.layer.0.output.dense.weight"
    before = {key: value.clone() for key, value in model.state_dict().items()}
    planes = directions(dict(model.named_parameters()), seed=0)
    request = {"names": [name, "cls.predictions.bias"], "planes": planes}
    found = loss_at(model, drawn.samples, loss, point=(0.5, -1.0), **request)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert loss_at(model, drawn.samples, loss, point=(0.0, 0.0), **request) == mean_loss(model, drawn.samples, loss)
    with torch.no_grad():
        model.get_parameter(name).add_(0.5 * planes[0][name] - planes[1][name])
    assert found == pytest.approx(mean_loss(model, drawn.samples, loss), rel=1e-5)


@pytest.fixture
def flags(tmp_path, model_folder, random_texts):
    corpus, scores = tmp_path / "corpus.txt", tmp_path / "scores.safetensors"
    corpus.write_text("\n".join(random_texts(12)))
    same = ["--model", model_folder("bert"), "--corpus", str(corpus)]
    assert estimate_main([*same, "--samples", "4", "--output", str(scores)]) == 0

    def make(*more, output="land"):
        fixed = [*same, "--scores", str(scores), "--samples", "6", "--grid", "2", "--output", str(tmp_path / output)]
        return [*fixed, *(str(part) for part in more)]

    return make


def test_the_command_writes_surfaces_figures_and_plots(flags, tmp_path, capsys):
    assert main(flags("--variants", "all", "bottom:50", "--seeds", 0, 1, "--plot")) == 0
    content = json.loads((tmp_path / "land" / "landscape.json").read_text())
    assert [(entry["seed"], entry["variant"]) for entry in content["surfaces"]] == [
        (0, "all"), (0, "bottom:50"), (1, "all"), (1, "bottom:50"),
    ]  # fmt: skip
    assert content["axis"] == [-1.5, 1.5] and len({entry["centre"] for entry in content["surfaces"]}) == 1
    every, bottom = content["surfaces"][:2]
    assert every["moved_parameters"] > bottom["moved_parameters"] and every["sharpness"] > 0
    names = {file.name for file in (tmp_path / "land").iterdir()}
    images = {f"{kind}-seed{seed}.png" for kind in ("surfaces", "contours") for seed in (0, 1)}
    assert names == {"points.jsonl", "landscape.json", "landscape.md", *images}
    table = (tmp_path / "land" / "landscape.md").read_text()
    assert "| all | " in table and table.strip() in capsys.readouterr().out


def test_a_loss_that_overflows_is_null_in_the_file(flags, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "fisher.surfaces.landscape.compute", lambda plane, keys, workers: ((key, math.inf) for key in keys)
    )
    assert main(flags("--variants", "all", "--seeds", 0)) == 0
    text = (tmp_path / "land" / "landscape.json").read_text()
    (surface,) = json.loads(text, parse_constant=pytest.fail)["surfaces"]
    assert surface["sharpness"] is None and surface["losses"] == [[None, None], [None, None]]


def test_known_points_are_not_computed_again(flags, tmp_path, monkeypatch, refused):
    assert main(flags("--variants", "all")) == 0
    first = (tmp_path / "land" / "landscape.json").read_bytes()
    points = tmp_path / "land" / "points.jsonl"
    lines = points.read_text().splitlines()
    points.write_text("\n".join(lines[:4]) + "\n" + lines[4][:7])  # three of five points, and one cut off
    computed = []
    real = landscape.compute
    monkeypatch.setattr(
        landscape, "compute", lambda plane, keys, workers: real(plane, computed.extend(keys) or keys, workers)
    )
    assert main(flags("--variants", "all")) == 0
    assert len(computed) == 2 and (tmp_path / "land" / "landscape.json").read_bytes() == first
    said = refused(main, *flags("--variants", "all", "--extent", 1))
    assert "holds points of another request (extent differ): choose another folder" in said
    points.write_text("?")
    said = refused(main, *flags("--variants", "all"))
    assert "should hold the points of landscapes but cannot be read: remove it" in said


def test_several_workers_give_the_same_values(flags, tmp_path):
    assert main(flags("--variants", "top:50", output="one")) == 0
    assert main(flags("--variants", "top:50", "--workers", 2, output="two")) == 0
    one, two = (json.loads((tmp_path / name / "landscape.json").read_text())["surfaces"] for name in ("one", "two"))
    assert torch.allclose(torch.tensor(one[0]["losses"]), torch.tensor(two[0]["losses"]), rtol=1e-5)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a device without room")
def test_a_point_that_finds_no_room_is_said(tmp_path, refusal):
    points = Points(tmp_path / "points.jsonl", {"grid": 2})
    points.path = Path("/dev/full")
    said = refusal(points.add, (0, "all", 0, 0), 1.0)
    assert "cannot be written (No space left on device): free some room and run the same command again" in said


@pytest.fixture
def other(model_folder, tmp_path):
    """The same model with other weights."""
    model, tokenizer = load_pretrained(model_folder("bert"), "mlm")
    with torch.no_grad():
        next(model.parameters()).add_(1)
    model.save_pretrained(tmp_path / "other")
    tokenizer.save_pretrained(tmp_path / "other")
    return tmp_path / "other"


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--grid", 1), "--grid must be at least 2, got 1"),
        (("--workers", -2), "--workers must be at least 1, got -2"),
        (("--extent", 0), "--extent must be above 0 and at most 1000, got 0"),
        (("--extent", "nan"), "--extent must be above 0 and at most 1000, got nan"),
        (("--extent", "1e300"), "--extent must be above 0 and at most 1000, got 1e+300"),
        (("--variants", "most"), "a variant must be all, or top:N"),
        (("--samples", 13), "samples must be in 1..12, the documents of the corpus, got 13"),
        (("--scores", "none"), "there is no score file"),
        (("--model", "other"), "holds scores of other weights"),
        (("--output", "corpus.txt"), "cannot be written"),
    ],
)
def test_bad_requests_have_their_sentences(flags, other, tmp_path, monkeypatch, refused, more, sentence):
    monkeypatch.chdir(tmp_path)
    assert sentence in refused(main, *flags(*more))
