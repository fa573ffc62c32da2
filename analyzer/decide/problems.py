"""What keeps a question from being answered."""


class NotAssumed(Exception):
    """An assumption that cannot be carried out, and why."""
