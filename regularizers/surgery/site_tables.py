"""Where dropouts sit and which layers a method mixes, per model family: the one table every technique asks.

A *site* is a place where the model drops activations. A row names it, says where its probability is set and which
parameter tensors precede it. `{i}` runs over the layers of a stack. Three ways of dropping occur:

    the module is called       hidden sites everywhere, and DeBERTa-v2's attention probabilities
    its `.p` is read           attention probabilities elsewhere: an attention function (sdpa, eager) drops; the module
                               is never called, so replacing it would lose the site; `owner` is the attention module
    a float attribute is read  T5's attention probabilities

Setting the probability therefore acts under sdpa and eager alike. Tensors that precede a site: BERT and its relatives
those of the module that holds the dropout [Sharma24]; elsewhere, our reading, those between the site before and this.

Where no module drops (functions in OPT and BART, nothing at all in Llama), a dropout of ours is put behind or before a
module (`planted`). Its row says where the checkpoint's own probability is, or that there is none and the site is ours.

Which layers are mixed follows from where the model drops. `paper`: the linear layers whose output is dropped before the
next linear layer, directly or through attention probabilities; so says the first author of [Lee20] (bloodwass/mixout,
pull request 13 and issue 4), who skipped BERT's intermediate layers because there is no dropout in them. `fed`: the
linear layers whose input has been dropped, another reading of "mixout replaces dropout" [Lee20 C.2]. BERT's
intermediate dense is fed by dropped units and its GELU output is not dropped; with its output dense it is the other way
round. T5 drops both, so its `wi` and `wo` belong to both readings. GPT-2's head input is not dropped: it has no head
site. Layers of the head (DeBERTa's pooler) never stand in these tables; a `head:` term finds them itself.
"""

from regularizers.surgery.rows import Family
from regularizers.surgery.tables.decoders import GPT2, gpt_neox, llama, opt
from regularizers.surgery.tables.encoders import (
    BERT,
    DISTILBERT,
    ELECTRA,
    MEGATRON_BERT,
    ROBERTA,
    albert,
    deberta,
    deberta_v2,
    modernbert,
    mpnet,
)
from regularizers.surgery.tables.seq2seq import BART, T5

ALIASES = {  # families whose modules have the names of another one's
    "camembert": "roberta",
    "data2vec-text": "roberta",
    "ernie": "bert",
    "gemma": "llama",
    "gemma3_text": "gemma2",
    "mistral": "llama",
    "mt5": "t5",
    "qwen2": "llama",
    "qwen3": "llama",
    "roberta-prelayernorm": "roberta",
    "smollm3": "llama",
    "xlm-roberta": "roberta",
}
TABLES: dict[str, Family] = {
    "bert": BERT,
    "roberta": ROBERTA,
    "electra": ELECTRA,
    "distilbert": DISTILBERT,
    "deberta-v2": deberta_v2(),
    "deberta": deberta(),
    "albert": albert(),
    "mpnet": mpnet(),
    "megatron-bert": MEGATRON_BERT,
    "modernbert": modernbert(),
    "eurobert": llama(reads="all tokens"),
    "gpt2": GPT2,
    "llama": llama(),
    "gemma2": llama(normed_branches=True),
    "opt": opt(),
    "gpt_neox": gpt_neox(),
    "t5": T5,
    "bart": BART,
}
FAMILIES = TABLES | {alias: TABLES[base] for alias, base in ALIASES.items()}
