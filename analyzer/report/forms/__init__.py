"""Report forms: one module each, named after the form, with ``render(document) -> str``.

A form that is written as a stream has ``chunks(document)`` instead (``json``).
"""
