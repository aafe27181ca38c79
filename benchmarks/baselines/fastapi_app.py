"""A bare FastAPI app with the same predictor, without MLflow: `python fastapi_app.py MODEL --port PORT`."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI

from digits import model
from digits.commands.http_server import make_server
from digits.commands.network import listen
from digits.model import keras_file
from digits.model.predictor import Predictor

model.set_threads(intra_op_threads=1)
predictor = Predictor(keras_file.load(Path(sys.argv[1])))
predictor.compile()
app = FastAPI()


@app.get("/ping")
def ping() -> str:
    """Say that the server is up."""
    return "up"


@app.post("/invocations")
def invocations(request: dict[str, Any]) -> dict[str, Any]:
    """Answer as MLflow does, for `inputs`."""
    return {"predictions": predictor(np.array(request["inputs"], np.float32)).tolist()}


with listen(int(sys.argv[3])) as listener:
    make_server(app).run(sockets=[listener])
