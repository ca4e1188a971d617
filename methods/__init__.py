"""Editing methods, one file each; the YAML of the same name in `conf/method` binds it."""
