"""Metrics: pure mathematics and thin backbones, bound to names by the profiles in `conf/metrics`."""
