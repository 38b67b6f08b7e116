"""What the examples share: options, data, the training loop, figures."""
