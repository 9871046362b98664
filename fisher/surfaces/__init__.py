"""Loss surfaces around a pretrained model."""
