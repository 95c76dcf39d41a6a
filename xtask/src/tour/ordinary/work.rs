//! What an agent does all day in its workspace.

use super::{Case, exec, result_holds, turn};
use crate::world::model::call;
use crate::world::outside::SITE_TEXT;
use serde_json::json;

pub(super) fn all() -> Vec<Case> {
    vec![
        turn(
            "read",
            "reads a file of the workspace",
            || vec![call("read", json!({"path": "notes.md"}))],
            |_, t| result_holds(t, "Lighthouse keeper: Grace"),
        ),
        turn(
            "write",
            "writes a new file",
            || vec![call("write", json!({"path": "plans/summer.md", "content": "Sail north.\n"}))],
            |s, _| {
                s.work("plans/summer.md").contains("Sail north").then(|| "plans/summer.md".into())
            },
        ),
        turn(
            "edit",
            "edits a file",
            || {
                let edit = json!({"oldText": "new ropes", "newText": "new ropes and a bell"});
                vec![call("edit", json!({"path": "notes.md", "edits": [edit]}))]
            },
            |s, _| s.work("notes.md").contains("and a bell").then(|| "notes.md is changed".into()),
        ),
        turn(
            "patch",
            "applies a patch",
            || {
                let patch = "*** Begin Patch\n*** Add File: log/first.txt\n+Left the harbour.\n*** End Patch";
                vec![call("apply_patch", json!({"input": patch}))]
            },
            |s, _| {
                s.work("log/first.txt").contains("Left the harbour").then(|| "log/first.txt".into())
            },
        ),
        turn(
            "ls",
            "lists files, by the tool and in the shell",
            || vec![call("ls", json!({"path": "."})), exec("ls -la src")],
            |_, t| {
                let tool = t.results.first().is_some_and(|r| r.contains("Makefile"));
                tool.then(|| result_holds(t, "hello.c")).flatten()
            },
        ),
        turn(
            "git-status",
            "asks git what changed",
            || vec![exec("echo '- one more' >> notes.md && git status --short")],
            |_, t| result_holds(t, "M notes.md"),
        ),
        turn(
            "git-commit",
            "commits a change",
            || {
                vec![exec(
                    "echo more >> src/more.txt && git add src/more.txt && git commit -q -m 'Add more' && git log --oneline -1",
                )]
            },
            |_, t| result_holds(t, "Add more"),
        ),
        turn(
            "grep",
            "searches the workspace",
            || vec![exec("grep -rn 'harbour' src | sort")],
            |_, t| result_holds(t, "src/hello.c:4"),
        ),
        turn(
            "build-c",
            "builds a program with make and runs it",
            || vec![exec("make && ./hello")],
            |_, t| result_holds(t, "hello from the harbour"),
        ),
        turn(
            "build-node",
            "runs a build script with node",
            || vec![exec("node src/build.mjs && cat built.txt")],
            |_, t| result_holds(t, "built with v24"),
        ),
        turn(
            "python",
            "runs a script that it wrote",
            || {
                let program = "import statistics\nprint('median', statistics.median([3, 1, 2]))\n";
                vec![
                    call("write", json!({"path": "median.py", "content": program})),
                    exec("python3 median.py"),
                ]
            },
            |_, t| result_holds(t, "median 2"),
        ),
        turn(
            "exit-status",
            "sees that a command failed",
            || vec![exec("echo before; exit 3")],
            |_, t| result_holds(t, "code 3"),
        ),
        turn(
            "long-output",
            "gets long output, cut by the gateway and not by anything else",
            || vec![exec("seq 1 20000 | tail -n 3")],
            |_, t| result_holds(t, "20000"),
        ),
        turn(
            "background",
            "starts a server in the background, polls it, and ends it",
            || {
                vec![
                    call(
                        "exec",
                        json!({
                        "command": "python3 -u -c 'import time\nwhile True: print(\"tick\", flush=True); time.sleep(0.1)'",
                        "background": true}),
                    ),
                    exec("sleep 0.5"),
                    call("process", json!({"action": "poll", "sessionId": "{{0:session}}"})),
                    call("process", json!({"action": "kill", "sessionId": "{{0:session}}"})),
                    // Ending is asked for, and happens a moment later.
                    exec("sleep 2"),
                    call("process", json!({"action": "list"})),
                ]
            },
            |_, t| {
                let polled = t.results.get(2)?.contains("tick");
                let list = t.results.get(5)?;
                (polled && !list.contains("running")).then(|| "it ticked, and was ended".into())
            },
        ),
        turn(
            "fetch",
            "gets a page of an allowlisted site",
            || vec![call("web_fetch", json!({"url": "http://site.test/tides.txt"}))],
            |s, t| {
                s.outside.site.find(|entry| entry.starts_with("GET"))?;
                result_holds(t, SITE_TEXT)
            },
        ),
        turn(
            "memory-search",
            "searches its memory",
            || vec![call("memory_search", json!({"query": "dinghy pontoon"}))],
            |_, t| result_holds(t, "northern pontoon"),
        ),
        turn(
            "server-tool",
            "calls a tool of an MCP server that the owner configured",
            || vec![call("tides__next_tide", json!({"port": "Brest"}))],
            |_, t| result_holds(t, "High tide in Brest"),
        ),
    ]
}
