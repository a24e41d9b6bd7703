"""What several evaluations share: measures, readers of labeled sets, networks without training, figures."""
