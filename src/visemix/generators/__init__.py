"""Generators of synthetic clips, one file or folder each, behind the contract in base.

Their names, and which module each is, stand in config.generator_names.
"""
