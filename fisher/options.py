"""Names and defaults that command lines offer; importing them loads nothing else."""

OBJECTIVES = ("mlm", "mlm-tied", "causal", "seq2seq")
REDUCTIONS = ("mean", "sum")
SENTINELS = ("spans", "single-token")
KINDS = ("empirical", "mc", "exact")
AMONG = ("all", "matrices")
NORMALISATIONS = ("row", "tensor")
VARIANTS = ("all", "top:50", "bottom:50", "random:50")
SIZES = {"small": (6, 384, 12), "base": (12, 768, 12), "large": (24, 1024, 16)}  # BERT: layers, width, heads
BATCH_TOKENS = 1024
