"""Names and defaults that command lines offer; importing them loads no heavy library."""

from argparse import _ArgumentGroup

from fisher.common.command import number

OBJECTIVES = ("mlm", "mlm-tied", "causal", "seq2seq")
REDUCTIONS = ("mean", "sum")
SENTINELS = ("spans", "single-token")
KINDS = ("empirical", "mc", "exact")
AMONG = ("all", "matrices")
NORMALISATIONS = ("row", "tensor")
VARIANTS = ("all", "top:50", "bottom:50", "random:50")
SIZES = {"small": (6, 384, 12), "base": (12, 768, 12), "large": (24, 1024, 16)}  # BERT: layers, width, heads
BATCH_TOKENS = 1024


def add_computing(group: _ArgumentGroup) -> None:
    """Add the flags that say how Fisher scores are computed: tokens of a batch, device."""
    group.add_argument(
        "--batch-tokens",
        type=number(1),
        default=BATCH_TOKENS,
        metavar="N",
        help="padded tokens of a batch (default %(default)s)",
    )
    group.add_argument("--device", default="cpu", help="cpu (default), cuda, ...")
