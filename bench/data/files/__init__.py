"""Formats that data sets come in: annotations, parquet, run lengths, ILSVRC's folders, downloads."""
