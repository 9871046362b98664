"""A small trial for tests of regularizers: a tiny random BERT, fixed batches and the loop's own step."""

import contextlib
from types import SimpleNamespace

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from regularizers.base import Context
from regularizers.loop import Recipe, make_optimizer, step
from regularizers.strategy import parse

HEAD = frozenset({"classifier.weight", "classifier.bias"})
ACCELERATOR = SimpleNamespace(autocast=contextlib.nullcontext, backward=lambda loss: loss.backward())


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


def make_batches(outputs=3, count=6, size=4):
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
        self.context = Context(self.model, HEAD, torch.Generator().manual_seed(31), examples=24)
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


@pytest.fixture
def lab():
    return Lab


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
