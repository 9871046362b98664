"""A small trial for tests of regularizers: a tiny random BERT, fixed batches and the loop's own step."""

import pytest
import torch
import transformers
from transformers import BertConfig, BertForSequenceClassification

from regularizers.base import Context
from regularizers.loop import Recipe, make_optimizer, step
from regularizers.strategy import parse
from regularizers.testing.tiny_trial import SingleProcessAccelerator

HEAD = frozenset({"classifier.weight", "classifier.bias"})
ACCELERATOR = SingleProcessAccelerator()


def tiny_bert(outputs=3, dtype=torch.float64, layers=3):
    config = BertConfig(
        vocab_size=40,
        hidden_size=12,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=20,
        max_position_embeddings=10,
        num_labels=outputs,
    )
    generator = torch.Generator().manual_seed(5)
    with torch.random.fork_rng(devices=[]):
        model = BertForSequenceClassification(config).to(dtype)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0.0, 0.2, generator=generator)
            if name.endswith("LayerNorm.weight"):
                parameter.add_(1.0)
    return model


def make_batches(outputs=3, count=5, size=4):
    generator = torch.Generator().manual_seed(11)
    batches = []
    for _ in range(count):
        mask = torch.ones(size, 7, dtype=torch.int64)
        mask[0, 5:], mask[2, 3:] = 0, 0
        ids = torch.randint(1, 40, (size, 7), generator=generator) * mask
        labels = torch.randint(0, max(outputs, 2), (size,), generator=generator)
        batches.append({"input_ids": ids, "attention_mask": mask, "labels": labels if outputs > 1 else labels * 1.5})
    return batches


class Lab:
    """One trial: built and attached on construction; `run(n)` takes the next n steps."""

    def __init__(self, strategy, *, outputs=3, dtype=torch.float64, lr=1e-2, clip=0.0, micro_batch=0, start=True):
        self.recipe = Recipe(
            epochs=1,
            lr=lr,
            beta1=0.9,
            beta2=0.999,
            eps=1e-8,
            warmup=0.0,
            schedule="constant",
            clip=clip,
            bias_correction=True,
            micro_batch=micro_batch,
        )
        self.model, self.batches = tiny_bert(outputs, dtype), make_batches(outputs)
        self.start = {name: p.detach().clone() for name, p in self.model.named_parameters()}
        torch.manual_seed(21)
        self.context = Context(self.model, HEAD, torch.Generator().manual_seed(31), examples=20)
        self.bound = parse(strategy).bind(self.context)
        self.touched = next(iter(self.bound.attach().values()))
        self.term = self.bound.terms[0][0]
        if start:
            self.bound.start(lambda: self.batches)
        self.context.training.optimizer = make_optimizer(self.bound, self.recipe)
        self.done = 0

    def run(self, steps):
        self.model.train()
        losses = []
        for batch in self.batches[self.done : self.done + steps]:
            losses.append(float(step(self.bound, batch, self.recipe, ACCELERATOR)))
            self.done += 1
        return losses

    def parameters(self):
        return {name: p.detach().clone() for name, p in self.model.named_parameters()}

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
