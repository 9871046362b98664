import pytest
import torch
from torch import nn

from regularizers.context import FAMILY_FREE, Context
from regularizers.methods.hype import HyPe


@pytest.mark.parametrize(("noise", "draw"), [("normal", torch.Tensor.normal_), ("uniform", torch.Tensor.uniform_)])
def test_every_layer_gets_noise_on_its_input(noise, draw, lab):
    trial, plain = lab(f"hype(0.3, noise={noise})"), lab("none").model
    batch, generator = trial.batches[0], torch.Generator()
    generator.set_state(trial.context.generator.get_state())
    bounds = () if noise == "normal" else (-1, 1)
    hidden = plain.bert.embeddings(input_ids=batch["input_ids"])
    mask = batch["attention_mask"][:, None, None, :].bool()
    for layer in plain.bert.encoder.layer:
        empty = torch.empty(hidden.shape, dtype=torch.float64)
        hidden = layer(hidden + 0.3 * draw(empty, *bounds, generator=generator), mask)
    expected = plain.classifier(plain.bert.pooler(hidden))
    trial.model.train()
    torch.testing.assert_close(trial.context.compute(batch).logits, expected, rtol=1e-10, atol=1e-14)


def test_layers_may_be_called_by_keyword():
    class Layer(nn.Linear):
        def forward(self, hidden_states):
            return super().forward(hidden_states)

    model = nn.ModuleDict({"layers": nn.ModuleList([Layer(3, 3)])})
    context = Context(model, generator=torch.Generator().manual_seed(0), sites=FAMILY_FREE)
    assert HyPe(0.5).attach(context) == ["layers.0"]
    layer, x = model["layers"][0], torch.rand(2, 3)
    noisy = x + 0.5 * torch.empty(2, 3).normal_(generator=torch.Generator().manual_seed(0))
    assert torch.equal(layer(hidden_states=x), nn.functional.linear(noisy, layer.weight, layer.bias))
