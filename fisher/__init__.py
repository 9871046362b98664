"""Fisher information of a pretrained model: diagonals, scores of its layers, landscapes of its loss."""
