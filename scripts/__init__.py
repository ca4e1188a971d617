"""Programs around the harness: training, benchmarks."""
