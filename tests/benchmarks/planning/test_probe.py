"""The look before the grid: what cannot work is refused once, with the remedy, before anything is scheduled."""

import json
import re
import shutil

import pytest
import transformers
from safetensors.torch import load_file, save_file

from benchmarks.data.sources import Example, TaskData
from benchmarks.data.tasks import Task
from benchmarks.planning.probe import look
from benchmarks.pocket import MODEL_DIR
from benchmarks.run import main
from benchmarks.trial import models
from benchmarks.trial.identity import config_hash, model_identity, tokenizer_hash
from benchmarks.trial.tokenizer import load_tokenizer

WORDS = "one rabbit quietly pushes some swift wagons"
TASK = Task("mine", ("text",), ("no", "yes"), "accuracy")


def data_of(*texts):
    rows = tuple(Example(at, (text,), at % 2) for at, text in enumerate(texts))
    return TaskData(TASK, rows, rows, "file")


@pytest.fixture
def folder(tmp_path):
    """A copy of the embedded model, to be damaged."""
    return shutil.copytree(MODEL_DIR, tmp_path / "copied")


@pytest.fixture
def look_at(folder):
    """What is said of the copy on texts; `max_length` as in a protocol."""

    def answer(*texts, max_length=40, tests=()):
        source = models.find_model(str(folder), offline=True)
        more = {"test": tuple(Example(at, (text,), None) for at, text in enumerate(tests))}
        return look(source, [("mine", max_length)], lambda name: data_of(*texts or (WORDS,)), lambda name: more)

    return answer


def edit(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def set_config(folder, **fields):
    edit(folder / "config.json", lambda config: config.update(fields))


def edit_words(folder, change):
    def apply(content):
        words = sorted(content["model"]["vocab"], key=content["model"]["vocab"].get)
        content["model"]["vocab"] = {word: at for at, word in enumerate(change(words))}

    edit(folder / "tokenizer.json", apply)


def test_what_goes_together_is_passed_without_a_word(look_at):
    assert look_at(WORDS, "some wagons") == ([], [])


def test_a_text_longer_than_the_models_positions_is_refused_with_the_length_to_set(look_at, refusal):
    long = f"{WORDS} " * 9
    sentence = "max_length must be at most 40, the positions of copied, got 128, and mine has an example of 65 tokens"
    for texts, tests in (((long,), ()), ((WORDS,), (WORDS, long))):
        said = refusal(look_at, *texts, max_length=128, tests=tests)
        assert f"{sentence}: --set max_length=40" in said
    assert look_at(long, max_length=40) == ([], [])
    assert look_at("rabbit " * 30, max_length=128) == ([], [])  # short enough, though of 210 characters


def roberta(folder, tokens):
    config = transformers.RobertaConfig(
        vocab_size=629, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        max_position_embeddings=tokens + 2, type_vocab_size=2, pad_token_id=1,
    )  # fmt: skip
    transformers.RobertaModel(config).save_pretrained(folder)
    edit_words(folder, lambda words: ["[UNK]", "[PAD]", *words[2:]])  # pads with 1, as the family does
    edit(folder / "tokenizer.json", lambda c: [w.update(id=1 - w["id"]) for w in c["added_tokens"] if w["id"] < 2])


def test_robertas_positions_start_after_its_padding_index(look_at, folder, refusal):
    roberta(folder, tokens=12)
    look_at("rabbit " * 10, max_length=40)
    said = refusal(look_at, "rabbit " * 11, max_length=40)
    assert re.search("at most 12, .* an example of 13 tokens: --set max_length=12", said)


def edit_weights(folder, change):
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


DAMAGE = {
    "weights that hold nan": (
        lambda f: edit_weights(f, lambda state: state["bert.encoder.layer.1.output.dense.weight"].fill_(float("nan"))),
        "must give finite numbers, but its weights make NaN or infinity of mine",
    ),
    "no files": (
        lambda f: [(f / name).unlink() for name in ("tokenizer.json", "tokenizer_config.json")],
        r"must bring its tokenizer's files \(tokenizer.json, or vocab.txt",
    ),
    "the config alone": (
        lambda f: (f / "tokenizer.json").unlink(),
        r"spiece.model\), got a tokenizer without words; put them next to its weights$",
    ),
    "half a file": (lambda f: (f / "tokenizer.json").write_text("{"), "could not be loaded; its files must be whole"),
    "too many words": (
        lambda f: edit_words(f, lambda words: [*words, "more"]),
        "must have at most the 629 tokens of the model's embedding, and has 630",
    ),
    "few words": (lambda f: edit_words(f, lambda words: words[:300]), "it has 300 tokens, the model's embedding 629"),
    "other padding": (lambda f: set_config(f, pad_token_id=1), "must pad with the model's token 1, and pads with 0"),
    "no class token": (
        lambda f: (
            edit(f / "tokenizer.json", lambda c: c.update(post_processor=None)),
            edit(f / "tokenizer_config.json", lambda c: c.update(tokenizer_class="PreTrainedTokenizerFast")),
        ),
        "must put a class token first, which bert reads",
    ),
}


@pytest.mark.parametrize("damage, sentence", DAMAGE.values(), ids=DAMAGE)
def test_a_model_that_is_not_whole_or_has_anothers_tokenizer_is_refused(look_at, folder, damage, sentence, refusal):
    damage(folder)
    assert re.search(sentence, refusal(look_at))


def test_a_tokenizer_with_words_missing_at_its_end_is_named(look_at, folder):
    edit_words(folder, lambda words: words[:500])
    (warning,) = look_at("one rabbit")[1][:1]
    assert warning.endswith("has 500 tokens, the model's embedding 629: is its file whole?")


def test_a_byte_pair_tokenizer_without_merges_is_refused(tmp_path, refusal):
    folder = tmp_path / "gpt2"
    config = transformers.GPT2Config(vocab_size=300, n_embd=8, n_layer=1, n_head=2, n_positions=12)
    transformers.GPT2Model(config).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({chr(33 + at): at for at in range(90)} | {"<|endoftext|>": 90}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    said = refusal(load_tokenizer, models.find_model(str(folder), offline=True))
    assert "must have merges, and has none: is merges.txt there?" in said


def test_texts_of_unknown_words_are_named_once_with_share_and_example(look_at):
    lines, (warning,) = look_at("Commission proposals matter", "one rabbit quietly")
    assert lines == []
    assert warning == (
        "mine: 50% of the tokens of the training texts are unknown: 'Commission proposals matter' is read as "
        "'[UNK] [UNK] [UNK]'; this model was not made for such texts"
    )


def test_segments_that_the_model_has_no_embedding_for_are_refused(folder, refusal):
    set_config(folder, type_vocab_size=1)
    name = "bert.embeddings.token_type_embeddings.weight"
    edit_weights(folder, lambda state: state.update({name: state[name][:1].clone()}))
    source = models.find_model(str(folder), offline=True)
    rows = (Example(0, (WORDS, WORDS), 0), Example(1, (WORDS, WORDS), 1))
    said = refusal(look, source, [("mine", 40)], lambda name: TaskData(TASK, rows, rows, "file"), lambda name: {})
    assert "must number segments below 1, as the model does, and gives 1" in said


def test_whatever_else_a_model_cannot_compute_is_one_sentence(look_at, monkeypatch, refusal):
    def fail(model, batch):
        raise RuntimeError("it has no such layer\nmore")

    monkeypatch.setattr("benchmarks.planning.probe.forward", fail)
    assert refusal(look_at).endswith("(9 tokens), but fails with RuntimeError: it has no such layer")


@pytest.mark.parametrize("classes", [2, 3])
def test_a_head_that_the_checkpoint_brings_is_drawn_anew_and_named(look_at, folder, classes):
    kind = transformers.AutoModelForSequenceClassification
    kind.from_pretrained(MODEL_DIR, num_labels=classes).save_pretrained(folder)
    source = models.find_model(str(folder), offline=True)
    assert look_at()[0] == [
        "copied brings a head of its own (classifier.bias, classifier.weight); it is drawn anew in every restart"
    ]
    for way in ("normal", "model"):
        made = [models.build(source, 2, seed=seed, head_init=way) for seed in (1, 1, 2)]
        hashes = [models.head_hash(*one) for one in made]
        assert hashes[0] == hashes[1] != hashes[2]
        assert made[0][1] == {"classifier.weight", "classifier.bias"}


def test_a_run_asks_before_it_plans_also_when_dry(tmp_path, refused, write_task):
    """The look itself is tested above; here only that a run has it, and makes no folder after a refusal."""
    own = write_task(tmp_path, [f"{WORDS * 9},no", f"{WORDS},yes"], suffix="csv")
    asked = ["--model", "pocket", "--task-file", own, "--strategies", "none", "--restarts", "1"]
    for more in ([], ["--dry-run"]):
        assert "max_length must be at most 40" in refused(main, *asked, *more, "--output", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_tokenizers_hash_changes_with_its_ids_and_not_with_its_layout(folder, source):
    def digest():
        load_tokenizer.cache_clear()
        return tokenizer_hash(load_tokenizer(models.find_model(str(folder), offline=True)))

    own = digest()
    assert own == tokenizer_hash(load_tokenizer(source))
    edit(folder / "tokenizer.json", lambda content: content.update(padding=None, decoder=None))
    assert digest() == own
    edit_words(folder, lambda words: [*words[:10], *words[:9:-1]])
    swapped = digest()
    edit(folder / "tokenizer_config.json", lambda content: content.update(do_lower_case=False))
    assert len({own, swapped, digest()}) == 3


def test_the_configs_hash_is_that_of_what_is_computed(folder, source):
    def digest(**fields):
        set_config(folder, **fields)
        return config_hash(transformers.AutoConfig.from_pretrained(folder))

    own = digest(transformers_version="4.0", architectures=["X"], id2label={"0": "a"}, use_cache=False, new=None)
    assert own == model_identity(source)["model_config"]
    assert len({own, digest(hidden_dropout_prob=0.5), digest(hidden_act="relu")}) == 3
