"""Nested data as tensors and back: every bit the same, nothing that is not plain, nothing that was changed."""

import math
from collections import Counter, OrderedDict, deque

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from fisher.common.flatten import flatten, foreign, unflatten
from regularizers.testing.tiny_trial import bits


def there_and_back(value):
    return unflatten(load(save(flatten(value))))


def test_numbers_texts_and_containers_come_back_as_they_were():
    value = {
        "floats": [0.1, -0.0, math.inf, 5e-324, 1 / 3],
        3: (True, None, 2**62, "\ud800 ü\n"),
        ("a", 1): [{1, 2}, frozenset({"x"}), [], {}, ()],
    }
    back = there_and_back(value)
    assert repr(back) == repr(value), "repr tells -0.0 from 0.0 and a list from a tuple"
    assert math.isnan(there_and_back(math.nan))


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(6.0).view(2, 3).t(),
        torch.tensor([math.nan, -0.0], dtype=torch.bfloat16),
        torch.tensor(3),
        torch.empty(0, 4),
        torch.rand(7, dtype=torch.float64)[2:5],
        torch.tensor([True, False]),
    ],
)
def test_tensors_keep_their_bits_shape_and_type(tensor):
    back = there_and_back([tensor])[0]
    assert back.dtype == tensor.dtype and back.shape == tensor.shape
    assert torch.equal(bits(back), bits(tensor))


def test_a_tensor_that_occurs_twice_is_one_tensor_again_and_views_do_not_share():
    whole = torch.arange(4.0)
    first, again, part = there_and_back((whole, whole, whole[:2]))
    assert first is again and part.tolist() == [0.0, 1.0]
    part += 1
    assert first.tolist() == [0.0, 1.0, 2.0, 3.0]


def test_a_leaf_that_learns_still_does():
    assert there_and_back({"w": torch.zeros(2, requires_grad=True)})["w"].requires_grad


@pytest.mark.parametrize(
    "value",
    [
        np.float64(1.0),
        deque([1]),
        Counter("a"),
        OrderedDict(a=1),
        torch.nn.Parameter(torch.zeros(1)),
        torch.eye(2).to_sparse(),
        lambda: 0,
    ],
)
def test_what_would_come_back_as_something_else_is_refused(value):
    name = foreign({"deep": [value]})
    assert name == type(value).__name__
    with pytest.raises(TypeError, match=f"plain containers of them can be saved, got {name}"):
        flatten({"deep": [value]})


def test_a_changed_bit_is_noticed_wherever_it_is():
    tensors = flatten({"w": torch.arange(5.0), "step": 3})
    for key in tensors:
        changed = {name: tensor.clone() for name, tensor in tensors.items()}
        changed[key].reshape(-1).view(torch.uint8)[1] ^= 1
        with pytest.raises(ValueError, match="checksum does not match"):
            unflatten(changed)


@pytest.mark.parametrize("missing", ["note", "checksum", "0"])
def test_tensors_of_something_else_are_refused(missing):
    tensors = flatten([torch.zeros(1)])
    del tensors[missing]
    with pytest.raises(ValueError, match=r"not made by flatten|checksum does not match"):
        unflatten(tensors)
