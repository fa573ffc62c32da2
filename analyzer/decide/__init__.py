"""What to do about an answer: which cause to fix first, whether the accelerator is worth it, which target to
take, what an edit would bring, and models to report an operator with.
"""
