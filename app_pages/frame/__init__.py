"""What every page stands on: the dataset, the model, controls, words, queries."""
