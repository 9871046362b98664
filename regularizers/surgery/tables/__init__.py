"""Site tables of the model families: encoders, decoders, and encoder-decoders."""
