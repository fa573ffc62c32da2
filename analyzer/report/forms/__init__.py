"""Report forms: one module each, named after the form, with ``render(document) -> str``."""
