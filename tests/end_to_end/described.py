"""Answers of the API held against config/openapi.yaml: the harness asks for every one that comes over TCP."""
import json
import re
import urllib.parse

import jsonschema
import yaml

from pathlib import Path

DESCRIPTION = yaml.safe_load((Path(__file__).resolve().parents[2] / "config/openapi.yaml").read_text())
METHODS = ("get", "put", "post", "patch", "delete")


def looked_up(node):
    """What a $ref means."""
    while isinstance(node, dict) and "$ref" in node:
        target = DESCRIPTION
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def parts(schema):
    """The schema, and those that it is put together from."""
    schema = looked_up(schema)
    yield schema
    for word in ("allOf", "anyOf", "oneOf"):
        for one in schema.get(word, []):
            yield from parts(one)


def undescribed(schemas, value, where=""):
    """The keys of an answer that no schema names. An object of which none is named may hold anything."""
    known = [part for schema in schemas for part in parts(schema)]
    if isinstance(value, list):
        items = [part["items"] for part in known if "items" in part]
        return [key for one in value for key in undescribed(items, one, where + "[]")]
    if not isinstance(value, dict) or not any("properties" in part for part in known) or any(part.get("additionalProperties") for part in known):
        return []
    named = {key: [part["properties"][key] for part in known if key in part.get("properties", {})] for key in value}
    return [f"{where}.{key}" for key in value if not named[key]] + \
        [inner for key in value for inner in undescribed(named[key], value[key], f"{where}.{key}")]


class Operation:
    def __init__(self, path, method):
        item = DESCRIPTION["paths"][path]
        self.path, self.method, self.about = path, method.upper(), item[method]
        self.parameters = [looked_up(p) for p in item.get("parameters", []) + self.about.get("parameters", [])]
        self.id = self.about["operationId"]
        self.public = "servers" in item
        self.scopes = [] if self.about.get("security") == [] else self.about["x-scopes"]
        self.bodies = {name: example["value"] for name, example in
                       self.about.get("requestBody", {}).get("content", {}).get("application/json", {}).get("examples", {}).items()}
        self._pattern = re.compile("".join("[^/]+" if part.startswith("{") else re.escape(part)
                                           for part in re.split(r"(\{[^}]*\})", path)))

    def fits(self, method, path):
        return (self.method == method or (method == "HEAD" and self.method == "GET")) and self._pattern.fullmatch(path.partition("?")[0])

    def address(self, **arguments):
        """The path, with the examples of its parameters, or what is given, in it."""
        path = self.path
        for parameter in self.parameters:
            if parameter["in"] == "path":
                path = path.replace("{%s}" % parameter["name"], arguments.get(parameter["name"], parameter.get("example", "x")))
        return path

    def queries(self):
        """What may stand behind the path: the examples of its parameters, all together, each by itself, and none where none is
        required."""
        asked = [p for p in self.parameters if p["in"] == "query" and "example" in p]
        words = [urllib.parse.urlencode([(p["name"], p["example"])]) for p in asked]
        needed = "&".join(word for word, p in zip(words, asked) if p.get("required"))
        return list(dict.fromkeys(["&".join(words), needed, *words]))

    def check(self, status, headers, body):
        """The answer is one of those described, in one of the types described, and reads as described."""
        responses = self.about["responses"]
        answer = looked_up(responses.get(str(status), responses.get("default")))
        assert answer, f"{self.id}: {status} is not described"
        assert status >= 400 or str(status) in responses, f"{self.id}: {status} is not described"
        if status == 503:
            assert int(headers["Retry-After"]) > 0, self.id
        if status == 401:
            assert headers["WWW-Authenticate"].startswith("Bearer"), self.id
        if not body:
            return
        assert headers["Content-Type"], f"{self.id}: {status} has no Content-Type"
        kind = headers["Content-Type"].partition(";")[0]
        assert kind in answer.get("content", {}), f"{self.id}: {status} as {kind} is not described"
        if kind.endswith("json"):
            schema = answer["content"][kind]["schema"]
            jsonschema.Draft202012Validator({**schema, "components": DESCRIPTION["components"]}).validate(json.loads(body))
            assert not (keys := undescribed([schema], json.loads(body))), f"{self.id}: {status}: not described: {keys}"


OPERATIONS = [Operation(path, method) for path, item in DESCRIPTION["paths"].items() for method in METHODS if method in item]


def check(method, path, status, headers, body, public=False):
    """Nothing, where no operation fits."""
    for operation in OPERATIONS:
        if operation.public == public and operation.fits(method, path):
            operation.check(status, headers, body if method != "HEAD" else b"")
