"""Run by the interpreter that has Gym: ask the verifier of an app.py, cases on stdin, answers on stdout."""

import importlib.util
import json
import os
import sys

out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

from fastapi.testclient import TestClient  # noqa: E402
from nemo_gym import BaseResourcesServerConfig, ServerClient, SimpleResourcesServer  # noqa: E402

sys.path.insert(0, os.getcwd())
spec = importlib.util.spec_from_file_location("app", sys.argv[1])
module = sys.modules["app"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
own = [one for one in vars(module).values() if isinstance(one, type) and issubclass(one, SimpleResourcesServer) and one.__module__ == "app"]
server = own[-1]
config = server.model_fields["config"].annotation
config = config if isinstance(config, type) and issubclass(config, BaseResourcesServerConfig) else BaseResourcesServerConfig
made = server(config=config(name="parts_list", host="127.0.0.1", port=0, entrypoint="app.py", domain="knowledge"), server_client=ServerClient.model_construct())
client = TestClient(made.setup_webserver(), raise_server_exceptions=False)
answers = []
for case in json.load(sys.stdin):
    answer = client.post("/verify", json=case)
    answers.append({"status": answer.status_code, "body": answer.json() if answer.status_code == 200 else answer.text[:200]})
json.dump(answers, out)
