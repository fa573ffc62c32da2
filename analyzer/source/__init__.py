"""Models in the user's own code: named as ``package.module:build``, and exported in a process of their own,
whose interpreter is the user's.
"""
