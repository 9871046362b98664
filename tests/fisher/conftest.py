"""Tiny models of each family with tokenizers of their own, as folders and in memory."""

import copy

import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from fisher.pretraining.checkpoint import quiet_loading
from fisher.pretraining.objectives import build_sample, objective_loss
from fisher.seeds import generator
from regularizers.testing.tiny_trial import tiny_config

WORDS = [f"w{number}" for number in range(40)]


def build_samples(tokenizer, texts, objective, *, max_length=32, seed):
    """A sample of each text, as an estimate with this seed draws it for a corpus of these texts."""
    return [
        build_sample(tokenizer, text, objective, max_length=max_length, rng=generator(seed, objective, number))
        for number, text in enumerate(texts)
    ]


def tiny_tokenizer(special: dict[str, str], template: str, extra: tuple[str, ...] = ()):
    vocabulary = [*special.values(), *WORDS, *extra]
    backend = Tokenizer(models.WordLevel({word: i for i, word in enumerate(vocabulary)}, special["unk_token"]))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    if template:
        names = [(word, backend.token_to_id(word)) for word in special.values() if word in template]
        pair = template.replace("$A", "$A [SEP] $B") if "[SEP]" in template else None
        backend.post_processor = processors.TemplateProcessing(single=template, pair=pair, special_tokens=names)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, additional_special_tokens=list(extra), model_max_length=32, **special
    )


def bert_tokenizer():
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return tiny_tokenizer({**special, "mask_token": "[MASK]"}, "[CLS] $A [SEP]")


def gpt2_tokenizer():
    return tiny_tokenizer({"unk_token": "<unk>", "eos_token": "<end>"}, "")


def t5_tokenizer():
    sentinels = tuple(f"<extra_id_{number}>" for number in range(8))
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    return tiny_tokenizer(special, "$A </s>", sentinels)


MODELS = {
    "bert": (
        transformers.BertForMaskedLM,
        tiny_config(vocab_size=45, max_position_embeddings=32, initializer_range=0.3),
    ),
    "gpt2": (
        transformers.GPT2LMHeadModel,
        transformers.GPT2Config(
            vocab_size=42, n_embd=16, n_layer=2, n_head=2, n_positions=32, bos_token_id=1, eos_token_id=1,
            initializer_range=0.3,
        ),
    ),
    "t5": (
        transformers.T5ForConditionalGeneration,
        transformers.T5Config(
            vocab_size=51, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2, relative_attention_num_buckets=6,
            relative_attention_max_distance=12, decoder_start_token_id=0, tie_word_embeddings=True,
        ),
    ),
}  # fmt: skip


def build_model(family: str):
    torch.manual_seed(0)
    kind, config = MODELS[family]
    return kind(copy.deepcopy(config))


TOKENIZERS = {"bert": bert_tokenizer, "gpt2": gpt2_tokenizer, "t5": t5_tokenizer}
OBJECTIVE = {"bert": "mlm", "gpt2": "causal", "t5": "seq2seq"}


def texts(count: int, *, shortest: int = 3, longest: int = 14) -> list[str]:
    rng = torch.Generator().manual_seed(5)
    lengths = torch.randint(shortest, longest + 1, (count,), generator=rng).tolist()
    return [" ".join(WORDS[i] for i in torch.randint(len(WORDS), (n,), generator=rng).tolist()) for n in lengths]


@pytest.fixture
def family_model():
    return build_model


@pytest.fixture
def family_tokenizer():
    return lambda family: TOKENIZERS[family]()


@pytest.fixture
def random_texts():
    return texts


@pytest.fixture
def case():
    """Return a function from a family to its model in float64, samples of random texts, and their loss."""

    def make(family, count, *, attention="sdpa"):
        model = build_model(family).double().eval()
        model.set_attn_implementation(attention)
        drawn = texts(count, longest=14 if family != "t5" else 20)
        samples = build_samples(TOKENIZERS[family](), drawn, OBJECTIVE[family], max_length=32, seed=3)
        return model, samples, objective_loss(OBJECTIVE[family])

    return make


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    """Folder of a saved tiny model and tokenizer, made once per family."""
    made: dict[str, str] = {}

    def folder(family: str) -> str:
        if family not in made:
            path = tmp_path_factory.mktemp(family)
            with quiet_loading():  # its progress bar would be taken for what the test at hand says
                build_model(family).save_pretrained(path)
            TOKENIZERS[family]().save_pretrained(path)
            made[family] = str(path)
        return made[family]

    return folder
