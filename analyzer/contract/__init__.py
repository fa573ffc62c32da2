"""The contract of a model: what an application relies on, as one document that is written, kept and compared
with later versions.
"""
