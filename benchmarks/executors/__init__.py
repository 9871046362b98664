"""Where trials run: in local processes, on a Ray cluster, as SLURM jobs or data-parallel under `accelerate launch`."""
