"""A report form of one's own: a line of tab-separated values for each model and target."""


def render(document):
    """Path, target, verdict and share of operators."""
    rows = [
        (model["path"], target["target"], target["verdict"], str(target["coverage"]["operators"]))
        for model in document["models"]
        for target in model.get("targets", ())
    ]
    return "".join("\t".join(row) + "\n" for row in rows)
