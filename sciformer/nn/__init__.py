"""Domain-blind layers: attention, positions, blocks, embedding, scaling."""
