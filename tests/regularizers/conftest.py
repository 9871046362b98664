"""The kit's tiny trial as the tests of methods use it: three layers, float64, five batches; tiny models of families."""

import pytest
import torch
import transformers

from regularizers.loop import make_optimizer, step
from regularizers.strategy import parse
from regularizers.testing.tiny_trial import SingleProcessAccelerator, Trial, make_batch, recipe, tiny_bert

ACCELERATOR = SingleProcessAccelerator()


class Lab(Trial):
    """One trial: built and attached on construction; `run(n)` takes the next n steps."""

    def __init__(self, strategy, *, outputs=3, dtype=torch.float64, lr=1e-2, clip=0.0, micro_batch=0, start=True):
        super().__init__(parse(strategy), outputs=outputs, dtype=dtype, layers=3, noise=31, default=21, fisher={})
        self.recipe = recipe(lr, micro_batch, clip, eps=1e-8)
        plain = tiny_bert(outputs, layers=3).to(dtype)
        self.start = {name: p.detach().clone() for name, p in plain.named_parameters()}
        self.batches = [make_batch(at, outputs, size=4) for at in range(5)]
        self.term, self.done = self.bound.terms[0][0], 0
        if start:
            self.bound.start(lambda: self.batches)
        self.context.training.optimizer = make_optimizer(self.bound, self.recipe)

    def run(self, steps):
        self.model.train()
        losses = []
        for batch in self.batches[self.done : self.done + steps]:
            losses.append(float(step(self.bound, batch, self.recipe, ACCELERATOR)))
            self.done += 1
        return losses

    parameters = Trial.weights

    @torch.no_grad()
    def evaluate(self):
        self.model.eval()
        with self.bound.evaluation():
            return self.context.compute(self.batches[0]).logits.clone()

    def rates(self):
        names = {id(p): name for name, p in self.model.named_parameters()}
        groups = self.context.training.optimizer.param_groups
        return {names[id(p)]: group["lr"] for group in groups for p in group["params"]}


SMALL = {"vocab_size": 30, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12}
SPECIAL = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
TINY = {
    "bert": (transformers.BertConfig, SMALL | {"max_position_embeddings": 12}),
    "roberta": (transformers.RobertaConfig, SMALL | SPECIAL | {"max_position_embeddings": 14}),
    "electra": (transformers.ElectraConfig, SMALL | {"max_position_embeddings": 12, "embedding_size": 6}),
    "distilbert": (
        transformers.DistilBertConfig,
        {"vocab_size": 30, "dim": 8, "n_layers": 2, "n_heads": 2, "hidden_dim": 12, "max_position_embeddings": 12},
    ),
    "deberta-v2": (
        transformers.DebertaV2Config,
        SMALL | {"max_position_embeddings": 12, "relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    ),
    "gpt2": (
        transformers.GPT2Config,
        {"vocab_size": 30, "n_embd": 8, "n_layer": 2, "n_head": 2, "n_positions": 12, **SPECIAL},
    ),
    "t5": (
        transformers.T5Config,
        {"vocab_size": 30, "d_model": 8, "d_kv": 4, "d_ff": 12, "num_layers": 2, "num_heads": 2, **SPECIAL}
        | {"num_decoder_layers": 1, "decoder_start_token_id": 0},
    ),
}  # fmt: skip
HEADS = ("classifier.", "pre_classifier.", "score.", "classification_head.", "pooler.")


def tiny_family(family, outputs=2, **changes):
    """A random classifier of the family and the names of its head; weights large enough for every site to matter."""
    kind, fields = TINY[family]
    generator = torch.Generator().manual_seed(7)
    with torch.random.fork_rng(devices=[]):
        config = kind(**fields, num_labels=outputs, **changes)
        attention = changes.get("attn_implementation", "eager" if family == "deberta-v2" else "sdpa")
        model = transformers.AutoModelForSequenceClassification.from_config(config, attn_implementation=attention)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0.0, 0.3, generator=generator)
            if "norm" in name.lower() and name.endswith("weight"):
                parameter.add_(1.0)
    return model, frozenset(name for name, _ in model.named_parameters() if name.startswith(HEADS))


def family_batch(outputs=2):
    """Four sequences of different length that end with the end token, padded with 0."""
    generator = torch.Generator().manual_seed(3)
    ids, mask = torch.randint(4, 30, (4, 8), generator=generator), torch.ones(4, 8, dtype=torch.int64)
    for row, length in enumerate((8, 5, 7, 3)):
        ids[row, length - 1], ids[row, length:], mask[row, length:] = 1, 0, 0
    return {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([0, 1, 1, 0])}


@pytest.fixture(params=sorted(TINY))
def family(request):
    return request.param


@pytest.fixture
def family_model():
    return tiny_family


@pytest.fixture
def batch():
    return family_batch()


@pytest.fixture
def lab():
    return Lab


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
