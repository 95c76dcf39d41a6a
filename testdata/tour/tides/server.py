"""A small stdio MCP server with one tool, as a user might have configured one."""
import json
import sys


def answer(message):
    method = message.get("method")
    if method == "initialize":
        return {
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "tides", "version": "1"},
        }
    if method == "tools/list":
        schema = {"type": "object", "properties": {"port": {"type": "string"}}, "required": ["port"]}
        return {"tools": [{"name": "next_tide", "description": "Time of the next high tide in a port", "inputSchema": schema}]}
    if method == "tools/call":
        port = message["params"]["arguments"].get("port", "")
        return {"content": [{"type": "text", "text": f"High tide in {port} at 06:40."}]}
    return {}


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        reply = {"jsonrpc": "2.0", "id": message["id"], "result": answer(message)}
        print(json.dumps(reply), flush=True)
