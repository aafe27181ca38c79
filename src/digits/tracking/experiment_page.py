"""The experiment's page in MLflow: its kind, its description, the view that it opens with, and its address.

The view is the tag that the button "Share" of the page writes, which MLflow does not document; tried with MLflow 3.17.
If the page cannot read it, it falls back to its defaults.
"""

import json

COLUMNS = (
    "params.`train.recipe`",
    "params.`train.epochs`",
    "metrics.`test_accuracy`",
    "metrics.`val_accuracy`",
    "metrics.`training_seconds`",
)
CHARTS = {"test_accuracy": "BAR", "val_accuracy": "LINE", "training_seconds": "BAR"}
SECTIONS = ("At a glance", "Model metrics")  # the second has MLflow's charts of the metrics without a prefix

KEY = "digits"
VIEW = {
    "selectedColumns": COLUMNS,
    "compareRunSections": [{"uuid": name, "name": name, "display": True} for name in SECTIONS],
    "compareRunCharts": [
        {"uuid": name, "metricSectionId": SECTIONS[0], "type": kind, "metricKey": name, "lineSmoothness": 0}
        for name, kind in CHARTS.items()
    ],
    "isAccordionReordered": True,  # keeps the order of the sections
}

TAGS = {
    "mlflow.experimentKind": "custom_model_development",  # opens the pages for training, not those for agents
    "mlflow.note.content": "One run for each state of the pipeline. Scores are bars, curves have one point per epoch.",
    f"mlflow.sharedViewState.{KEY}": json.dumps(VIEW),
}


def address(server: str, experiment_id: str) -> str:
    """The page of an experiment's runs at a server: a table of all, and charts beside it."""
    query = f"workflowType=machine_learning&compareRunsMode=CHART&viewStateShareKey={KEY}"
    return f"{server.rstrip('/')}/#/experiments/{experiment_id}/runs?{query}"
