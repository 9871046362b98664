"""Tiny random classifiers of every family with a site table, for tests and for the matrix of families and methods."""

from typing import Any

import torch
import transformers
from torch import Tensor

from regularizers.surgery.sites import head_of

SPECIAL = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
SMALL = {
    "vocab_size": 30,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 12,
}
ROBERTA = SMALL | SPECIAL | {"max_position_embeddings": 14}
RELATIVE = SMALL | {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "pooler_hidden_size": 8}
LLAMA = SMALL | SPECIAL | {"num_key_value_heads": 1, "head_dim": 4, "attention_dropout": 0.1}
GEMMA = LLAMA | {
    "sliding_window": 4,
    "query_pre_attn_scalar": 4,
    "layer_types": ["sliding_attention", "full_attention"],
}
T5 = SPECIAL | {
    "vocab_size": 30,
    "d_model": 8,
    "d_kv": 4,
    "d_ff": 12,
    "num_layers": 2,
    "num_decoder_layers": 1,
    "num_heads": 2,
    "decoder_start_token_id": 0,
}
BART: dict[str, Any] = {
    "vocab_size": 30,
    "d_model": 8,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "max_position_embeddings": 12,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "attention_dropout": 0.1,
    "activation_dropout": 0.1,
    "encoder_ffn_dim": 12,
    "decoder_ffn_dim": 12,
}
FIELDS: dict[str, dict[str, Any]] = {
    "albert": SMALL | {"embedding_size": 6},
    "bart": BART | SPECIAL | {"decoder_start_token_id": 1, "forced_eos_token_id": None},
    "bert": SMALL,
    "camembert": ROBERTA,
    "data2vec-text": ROBERTA,
    "deberta": RELATIVE,
    "deberta-v2": RELATIVE,
    "distilbert": {"vocab_size": 30, "dim": 8, "n_layers": 2, "n_heads": 2, "hidden_dim": 12}
    | {"max_position_embeddings": 12},
    "electra": SMALL | {"embedding_size": 6},
    "ernie": SMALL,
    "eurobert": LLAMA,
    "gemma": LLAMA,
    "gemma2": GEMMA | {"sliding_window": 16},  # under a shorter one, float64 has NaN at padding in its eager attention
    "gemma3_text": GEMMA,
    "gpt2": {"vocab_size": 30, "n_embd": 8, "n_layer": 2, "n_head": 2, "n_positions": 12, **SPECIAL},
    "gpt_neox": SMALL | SPECIAL | {"attention_dropout": 0.1, "hidden_dropout": 0.1},
    "llama": LLAMA,
    "megatron-bert": SMALL,
    "mistral": LLAMA | {"sliding_window": 4},
    "modernbert": SMALL
    | SPECIAL
    | {"local_attention": 4, "global_attn_every_n_layers": 2, "cls_token_id": 2}
    | {f"{part}_dropout": 0.1 for part in ("attention", "embedding", "mlp", "classifier")},
    "mpnet": SMALL | SPECIAL | {"max_position_embeddings": 14},
    "mt5": T5,
    "opt": SMALL | SPECIAL | {"ffn_dim": 12, "word_embed_proj_dim": 8},
    "qwen2": LLAMA,
    "qwen3": LLAMA,
    "roberta": ROBERTA,
    "roberta-prelayernorm": ROBERTA,
    "smollm3": LLAMA,
    "t5": T5,
    "xlm-roberta": ROBERTA,
}
# without transformers' attention interface
OWN_ATTENTION = ("deberta", "deberta-v2", "megatron-bert", "mpnet")


def tiny_config(family: str, outputs: int = 2, **changes: Any) -> Any:
    """The config of two layers and width 8, with some fields set anew."""
    return transformers.AutoConfig.for_model(family, **FIELDS[family] | {"num_labels": outputs} | changes)


def tiny_family(
    family: str, outputs: int = 2, attn_implementation: str = "sdpa", **changes: Any
) -> tuple[Any, frozenset[str]]:
    """A random classifier and the names of its head's parameters; weights are large enough for every site to matter."""
    attention = "eager" if family in (*OWN_ATTENTION, "gemma2") else attn_implementation
    generator = torch.Generator().manual_seed(7)
    with torch.random.fork_rng(devices=[]):
        config = tiny_config(family, outputs, **changes)
        model: Any = transformers.AutoModelForSequenceClassification.from_config(config, attn_implementation=attention)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0.0, 0.3, generator=generator)
            if "norm" in name.lower() and name.endswith("weight"):
                parameter.add_(1.0)
    return model, head_of(model)


def family_batch() -> dict[str, Tensor]:
    """Four sequences of different length that end with the end token, padded with 0."""
    generator = torch.Generator().manual_seed(3)
    ids, mask = torch.randint(4, 30, (4, 8), generator=generator), torch.ones(4, 8, dtype=torch.int64)
    for row, length in enumerate((8, 5, 7, 3)):
        ids[row, length - 1], ids[row, length:], mask[row, length:] = 1, 0, 0
    return {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([0, 1, 1, 0])}
