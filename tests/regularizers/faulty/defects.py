"""Small regularizers, each with one defect seen in published code of this field; the conformance kit must find it."""

import contextlib
import random
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from regularizers import Output, Regularizer, register
from regularizers.search import Linear

DENSE = ("bert.encoder.layer.0.intermediate.dense", "bert.encoder.layer.1.intermediate.dense")


class Mixed(nn.Linear):
    """A layer whose weight its regularizer mixes in training."""

    def forward(self, x):
        weight = self.owner.mix(self) if self.training else self.weight
        return nn.functional.linear(x, weight, self.bias)


@dataclass
class Mixing(Regularizer):
    """Mix two layers of the body toward their start; right as it stands (and therefore not registered)."""

    p: float = 0.3

    def attach(self, context):
        self._layers = []
        for name in DENSE:
            self.convert(context.model.get_submodule(name))
        return list(DENSE)

    def convert(self, layer):
        layer.__class__, layer.owner = Mixed, self
        self.keep(layer, layer.weight.detach().clone())
        layer.register_buffer("mask", torch.ones(layer.in_features).to(layer.weight), persistent=False)
        self._layers.append(layer)

    def keep(self, layer, target):
        layer.register_buffer("target", target)

    def mix(self, layer):
        mask = layer.mask
        return (mask * layer.weight + (1 - mask) * layer.target - self.p * layer.target) / (1 - self.p)

    def draw(self, context):
        for layer in self._layers:
            layer.mask.copy_(self.uniform(layer, context) >= self.p)

    def uniform(self, layer, context):
        return torch.rand(layer.in_features, generator=context.generator)


@register("right_mixing")
@dataclass
class RightMixing(Mixing):
    """The control: nothing is wrong with it."""

    off = ("right_mixing(0)",)
    exempt: ClassVar = {"decoder": "it names layers of BERT"}


class Gradient(torch.autograd.Function):
    """The forward pass of mixing with a hand-written backward pass that forgets 1 / (1 - p)."""

    @staticmethod
    def forward(ctx, weight, target, mask, p):
        ctx.save_for_backward(mask)
        return (mask * weight + (1 - mask) * target - p * target) / (1 - p)

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.saved_tensors[0], None, None, None


@register("gradient_without_factor")
@dataclass
class GradientWithoutFactor(Mixing):
    """Mixout's authors: the backward pass leaves out 1/(1-p)."""

    def mix(self, layer):
        return Gradient.apply(layer.weight, layer.target, layer.mask, self.p)


@register("biased_mix")
@dataclass
class BiasedMix(Mixing):
    """The mean of the mixed weight is not the weight."""

    def mix(self, layer):
        return layer.mask * layer.weight + (1 - layer.mask) * layer.target


@register("target_no_buffer")
@dataclass
class TargetNoBuffer(Mixing):
    """Mixout's authors: the target is an attribute, which .to() and state_dict do not see."""

    def keep(self, layer, target):
        layer.target = target


@register("attach_draws")
@dataclass
class AttachDraws(Mixing):
    """Mixout's authors: building the new layer draws its start from the default generator."""

    def convert(self, layer):
        nn.Linear(4, 4)
        super().convert(layer)


@register("mixes_head")
@dataclass
class MixesHead(Mixing):
    """Mixout as used on BERT: the classifier is mixed too, toward its random start."""

    def attach(self, context):
        names = super().attach(context)
        self.convert(context.model.get_submodule("classifier"))
        return [*names, "classifier"]


@register("redraws_mask")
@dataclass
class RedrawsMask(Mixing):
    """A mask of its own for every micro-batch."""

    def draw(self, context):
        self._context = context

    def mix(self, layer):
        layer.mask.copy_(self.uniform(layer, self._context) >= self.p)
        return super().mix(layer)


@register("private_generator")
@dataclass
class PrivateGenerator(Mixing):
    """A generator of its own with a fixed seed: the same masks in every restart."""

    def attach(self, context):
        self._own = torch.Generator().manual_seed(42)
        return super().attach(context)

    def uniform(self, layer, context):
        return torch.rand(layer.in_features, generator=self._own)


@register("python_random")
@dataclass
class PythonRandom(Mixing):
    """Masks from Python's random."""

    def uniform(self, layer, context):
        return torch.tensor(random.random())


@register("numpy_random")
@dataclass
class NumpyRandom(Mixing):
    """Masks from NumPy's global state."""

    def uniform(self, layer, context):
        return torch.tensor(np.random.rand())


@register("default_random")
@dataclass
class DefaultRandom(Mixing):
    """Masks from torch's default generator, which stock dropout uses."""

    def uniform(self, layer, context):
        return torch.rand(layer.in_features)


@register("ignores_p")
@dataclass
class IgnoresP(Mixing):
    """The hyperparameter is accepted and ignored."""

    def __post_init__(self):
        self.p = self.p and 0.3

    def attach(self, context):
        self.p = 0.3
        return super().attach(context)


@register("touches_nothing")
@dataclass
class TouchesNothing(Regularizer):
    """Looks for layers by a name that no longer exists, and does not complain."""

    p: float = 0.1

    def attach(self, context):
        return [name for name, module in context.model.named_modules() if type(module).__name__ == "BertLinear"]


@register("touches_ghosts")
@dataclass
class TouchesGhosts(Regularizer):
    """Lists a module that the model does not have."""

    def attach(self, context):
        return ["bert.encoder.layers.0"]


class Noise(nn.Module):
    """Multiplicative Gaussian noise, as its regularizer wants it."""

    def __init__(self, owner, generator):
        super().__init__()
        self.owner, self.generator, self.p = owner, generator, owner.p  # attention reads p

    def forward(self, x):
        noise = torch.randn(x.shape, generator=self.generator, dtype=x.dtype)
        return x * (1 + self.owner.spread() * noise) if self.owner.active(self) else x


@dataclass
class Gaussian(Regularizer):
    """Put the noise where a dropout module is called: after the embeddings; right but for what subclasses change."""

    p: float = 0.1

    def attach(self, context):
        context.model.bert.embeddings.dropout = Noise(self, context.generator)
        return ["bert.embeddings.dropout"]

    def spread(self):
        return (self.p / (1 - self.p)) ** 0.5

    def active(self, module):
        return module.training


@register("std_for_variance")
@dataclass
class StdForVariance(Gaussian):
    """Guided dropout's baseline: the standard deviation is p/(1-p) instead of its square root."""

    def spread(self):
        return self.p / (1 - self.p)


@register("switches_training_on")
@dataclass
class SwitchesTrainingOn(Gaussian):
    """Guided dropout's baseline: `if self.train():` switches training mode on."""

    def active(self, module):
        return module.train()


@register("noise_at_evaluation")
@dataclass
class NoiseAtEvaluation(Gaussian):
    """It does not ask for the mode at all."""

    def active(self, module):
        return True


@register("replaces_attention_dropout")
@dataclass
class ReplacesAttentionDropout(Gaussian):
    """Replaces attention dropout modules, which the model never calls."""

    def attach(self, context):
        context.model.bert.encoder.layer[0].attention.self.dropout = Noise(self, context.generator)
        return ["bert.encoder.layer.0.attention.self.dropout"]


@dataclass
class Decay(Regularizer):
    """Decoupled decay toward the start on the parameters that `chosen` accepts."""

    strength: float = 0.1

    def chosen(self, name, context):
        return name not in context.head and name.endswith("weight") and "LayerNorm" not in name

    def attach(self, context):
        self._weights = {n: p for n, p in context.parameters().items() if self.chosen(n, context)}
        return list(self._weights)

    def update(self, apply, context):
        with torch.no_grad():
            for name, weight in self._weights.items():
                rate = self.rate(context) * self.strength
                weight.sub_(rate * (weight - context.initial[name].to(weight)))
        apply()

    def rate(self, context):
        return context.training.optimizer.param_groups[0]["lr"]


@register("decays_head")
@dataclass
class DecaysHead(Decay):
    """Public code toward w_pre: the condition that excludes the head is never true."""

    def chosen(self, name, context):
        return not name.startswith("head.") and name.endswith("weight") and "LayerNorm" not in name


@register("decays_norms")
@dataclass
class DecaysNorms(Decay):
    """LayerNorm and biases are decayed with the rest."""

    def chosen(self, name, context):
        return name not in context.head


@register("decays_unlisted")
@dataclass
class DecaysUnlisted(Decay):
    """Acts on more than it lists."""

    def attach(self, context):
        return super().attach(context)[:1]


@register("decay_without_rate")
@dataclass
class DecayWithoutRate(Decay):
    """The decay forgets the learning rate."""

    def rate(self, context):
        return 1e-3


@register("kl_sum")
@dataclass
class KlSum(Regularizer):
    """R-Drop code: the divergence is summed over the batch, so its weight grows with the batch."""

    alpha: float = 1.0
    example = "kl_sum(1) + dropout(0.1)"
    passes = (2, 2)

    def attach(self, context):
        return list(context.parameters())

    def loss(self, compute, batch, context):
        first, second = compute(batch), compute(batch)
        p, q = (torch.log_softmax(output.logits, -1) for output in (first, second))
        divergence = ((p.exp() - q.exp()) * (p - q)).sum() / 2
        return Output((first.loss + second.loss) / 2 + self.alpha * divergence, first.logits)


@register("undeclared_pass")
@dataclass
class UndeclaredPass(KlSum):
    """Two forward passes where one is declared."""

    example = "undeclared_pass(1) + dropout(0.1)"
    passes = (1, 1)


@register("nan_std")
@dataclass
class NanStd(Regularizer):
    """NoisyTune code: the standard deviation of a one-element tensor is NaN."""

    strength: float = 0.15

    def attach(self, context):
        with torch.no_grad():
            for name, p in context.parameters().items():
                if name != "classifier.weight":
                    noise = torch.rand(p.shape, generator=context.generator) - 0.5
                    p.add_(noise * self.strength * (p.std() if name in context.head else 0.0))
        return list(context.parameters())


@dataclass
class Average(Regularizer):
    """Evaluate a running average of the weights."""

    decay: float = 0.5

    def attach(self, context):
        self.mean = {name: p.detach().clone() for name, p in context.parameters().items()}
        return list(self.mean)

    def update(self, apply, context):
        apply()
        for name, p in context.parameters().items():
            self.mean[name].lerp_(p.detach(), 1 - self.decay)

    def snapshot(self, parameter):
        return parameter.detach().clone()

    @contextlib.contextmanager
    def evaluation(self, context):
        live = {name: self.snapshot(p) for name, p in context.parameters().items()}
        for values in (self.mean, live):
            with torch.no_grad():
                for name, p in context.parameters().items():
                    p.copy_(values[name])
            if values is self.mean:
                yield


@register("loses_state")
@dataclass
class LosesState(Average):
    """The average is not part of the saved state."""

    def state_dict(self):
        return {}


@register("aliased_snapshot")
@dataclass
class AliasedSnapshot(Average):
    """`v.cpu()` is no copy on the CPU: the snapshot of the live weights is the live weights."""

    def snapshot(self, parameter):
        return parameter.detach().cpu()


@register("never_off")
@dataclass
class NeverOff(Decay):
    """Strength 0 still does something."""

    off = ("never_off(0)",)

    def __post_init__(self):
        self.strength = self.strength or 1e-4


@register("other_attention")
@dataclass
class OtherAttention(Regularizer):
    """Chooses an attention that knows nothing of batches without padding: all examples attend to each other."""

    p: float = 0.1

    def attach(self, context):
        context.model.set_attn_implementation("eager")
        return list(context.parameters())

    def loss(self, compute, batch, context):
        output = compute(batch)
        return output._replace(loss=output.loss * (1 + self.p))


@register("wide_range")
@dataclass
class WideRange(Regularizer):
    """Declares a range for tuners at whose end it divides by zero."""

    p: float = 0.1
    search = {"p": Linear(0.1, 0.99999)}  # noqa: RUF012

    def loss(self, compute, batch, context):
        output = compute(batch)
        return output._replace(loss=output.loss / (1 - round(self.p, 3)))
