#!/usr/bin/env python3
"""A Gameday agent in Python: standard library only, JSON lines on stdin and stdout. See docs/protocol.md."""
import json
import re
import sys


def send(message):
    print(json.dumps(message), flush=True)


def call(tool, **args):
    """Call one tool of the harness and return its output; an error of the tool is an empty output."""
    send({"type": "call", "id": tool, "tool": tool, "args": args})
    answer = json.loads(sys.stdin.readline() or '{"type": "end"}')
    if answer["type"] == "end":  # A budget is spent, or the trial is over.
        sys.exit(0)
    return "" if answer.get("isError") else answer["output"]


def rows(resource, *columns):
    spec = ",".join(f"C{i}:{c}" for i, c in enumerate(columns))
    return [line.split() for line in call("kubectl", command=f"get {resource} --no-headers -o 'custom-columns={spec}'").splitlines()]


def look(ns):
    """Return (component, mechanism, field, repair) of the first fault that a rule finds, else None."""
    ports = {}
    for name, replicas, numbers, names in rows("deployments", ".metadata.name", ".spec.replicas",
                                               ".spec.template.spec.containers[*].ports[*].containerPort",
                                               ".spec.template.spec.containers[*].ports[*].name"):
        ports[name] = numbers.split(",") + names.split(",")
        if replicas == "0":
            before = re.search(r"from (\d+) to 0", call("get_events", **{"for": f"deployment/{name}"}))
            back = before.group(1) if before else "1"
            component = {"kind": "Deployment", "name": name, "namespace": ns}
            return component, "scaled-to-zero", "spec.replicas", [f"scale deployment/{name} --replicas={back}",
                                                                  f"rollout status deployment/{name} --timeout=60s"]
    for name, target, port in rows("services", ".metadata.name", ".spec.ports[0].targetPort", ".spec.ports[0].name"):
        if name in ports and target not in ports[name] and port in ports[name]:
            patch = json.dumps([{"op": "replace", "path": "/spec/ports/0/targetPort", "value": port}])
            component = {"kind": "Service", "name": name, "namespace": ns}
            return component, "wrong-port", "spec.ports[0].targetPort", [f"patch service {name} --type=json -p '{patch}'"]
    return None


brief = json.loads(sys.stdin.readline())["brief"]
alerts = json.loads(call("get_alerts") or "[]")
found = look(brief["namespace"])
call("submit_detection", anomaly=bool(found or alerts))
if found and "mitigation" in brief["tasks"]:
    component, mechanism, field, repair = found
    call("submit_localization", components=[component])
    call("submit_diagnosis", component=component, mechanism=mechanism, field=field)
    for command in repair:
        call("kubectl", command=command, timeout_seconds=90)
    call("submit_mitigation", summary="; ".join(repair))
send({"type": "done"})
