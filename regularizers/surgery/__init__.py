"""What methods do to models: dropout sites, layers, mixed weights, noise, swapped weights."""
