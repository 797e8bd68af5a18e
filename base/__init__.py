"""Ground floor of Cairn: time, errors, specs, registries, kernels and named random streams. Imports no other room."""
