"""The parts of the generated picture world; `jft_reps.data.toy_world` is its public face."""
