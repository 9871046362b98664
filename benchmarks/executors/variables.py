"""What the environment may decide: where libraries lie and what is visible, never what a trial computes.

Variables of launchers count only where a launcher set all of them; variables by which torch, accelerate, oneDNN and
cuBLAS change the arithmetic are refused by name, and dropped in workers, whose environment may be another machine's.
"""

import os
from collections.abc import MutableMapping

from fisher.common.errors import InputError

LAUNCH = {
    "WORLD_SIZE": "1",
    "RANK": "0",
    "LOCAL_RANK": "0",
    "LOCAL_WORLD_SIZE": "1",
}  # for one process
ADDRESS = ("MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID")  # what torchrun and accelerate launch set with them
MPI = ("OMPI_COMM_WORLD_", "PMI_", "MV2_COMM_WORLD_")  # accelerate reads sizes and ranks from these, too
ARITHMETIC = (
    "NVIDIA_TF32_OVERRIDE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "HIPBLASLT_ALLOW_TF32",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "DNNL_DEFAULT_FPMATH_MODE",
    "XLA_USE_BF16",
    "XLA_DOWNCAST_BF16",
)
ACCELERATE = "ACCELERATE_"
HARMLESS = (  # of accelerate: they choose between CPU and GPU, or what is printed
    "ACCELERATE_USE_CPU",
    "ACCELERATE_CPU_AFFINITY",
    "ACCELERATE_DEBUG_MODE",
    "ACCELERATE_DYNAMO_MODE",  # of a compiler that is off
    "ACCELERATE_ENABLE_RICH",
    "ACCELERATE_LOG_LEVEL",
    "ACCELERATE_NUM_PROCESSES",
)
OFF = ("", "0", "no", "false", "none", "strict")
Variables = MutableMapping[str, str]


def settle(environ: Variables = os.environ) -> None:
    """Refuse by name what would change results, and drop what a launcher left over; what is off is dropped as well.

    Raises InputError before anything is changed.
    """
    if not is_launch(environ):
        for name, alone in LAUNCH.items():
            if environ.get(name, "") not in ("", alone):
                raise InputError(
                    f"{name}={environ[name]} must not be set without torchrun or accelerate launch, which set it with "
                    f"{', '.join([*LAUNCH, *ADDRESS][:6])}; unset {name}, it may be left over from a job script"
                )
    for name in _acting(environ):
        raise InputError(
            f"{name}={environ[name]} must not be set: it would change results without standing in their records; "
            f"unset {name} (--set precision=bf16 is how a run is asked for another precision)"
        )
    clean(environ)


def clean(environ: Variables = os.environ) -> None:
    """Drop every variable that could change results, and those of a launcher that did not launch this process."""
    dropped = [name for name in environ if name in ARITHMETIC or (name.startswith(ACCELERATE) and name not in HARMLESS)]
    if not is_launch(environ):
        dropped += [name for name in environ if name in (*LAUNCH, *ADDRESS) or name.startswith(MPI)]
    for name in dropped:
        del environ[name]
    environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # deterministic, and the same on every machine


def clean_worker(threads: int, environ: Variables = os.environ) -> None:
    """Let a worker process, which trains alone, inherit nothing that acts; its threads are those asked for."""
    for name in LAUNCH:
        environ.pop(name, None)
    clean(environ)
    environ["TOKENIZERS_PARALLELISM"] = "false"
    environ["OMP_NUM_THREADS"] = environ["MKL_NUM_THREADS"] = str(threads)


def is_launch(environ: Variables = os.environ) -> bool:
    """Whether torchrun or accelerate launch started this process: it then has all variables of a launch."""
    numbers = all(environ.get(name, "").isdecimal() for name in LAUNCH)
    return numbers and all(environ.get(name) for name in ADDRESS)


def processes() -> int:
    """How many processes train one trial together."""
    return int(os.environ["WORLD_SIZE"]) if is_launch() else 1


def is_first() -> bool:
    """Whether this process leads: plans, shows, writes."""
    return processes() == 1 or os.environ["RANK"] == "0"


def _acting(environ: Variables) -> list[str]:
    """Variables that are set to something that changes what is computed."""
    found = [name for name in environ if name in ARITHMETIC or (name.startswith(ACCELERATE) and name not in HARMLESS)]
    off = {"ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "1"}
    return [name for name in found if environ[name].lower() not in (*OFF, off.get(name))]
