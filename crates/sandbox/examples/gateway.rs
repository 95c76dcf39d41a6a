//! Runs a real OpenClaw gateway in its jail, with a scripted model beside it, and waits until it
//! is ready: `gateway LAB PORT [COMMAND]`. LAB is a rendered lab folder; COMMAND runs inside
//! instead of the gateway.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "an experiment for people"
)]

use seawall_sandbox::plan::{GatewayPlan, gateway_plan};
use seawall_sandbox::{Jail, JailIo};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn main() {
    seawall_sandbox::early_main();
    let args: Vec<String> = std::env::args().collect();
    let (lab, port) = (args[1].clone(), args[2].parse::<u16>().unwrap());
    let oc = format!("{lab}/oc/node_modules");
    let plan = GatewayPlan {
        node: format!("{oc}/node/bin/node"),
        entry: format!("{oc}/openclaw/openclaw.mjs"),
        args: vec!["gateway".into(), "run".into()],
        programs: vec![oc.clone()],
        state_dir: format!("{lab}/home/.openclaw"),
        config_dir: format!("{lab}/derived"),
        config_file: format!("{lab}/derived/openclaw.json"),
        workspaces: vec![format!("{lab}/ws")],
        read_only: vec![format!("{lab}/mock"), format!("{lab}/bin"), format!("{lab}/plugin")],
        protect: vec![format!("{lab}/home/.openclaw/openclaw.json")],
        home: format!("{lab}/home"),
        run_dir: format!("{lab}/run"),
        binary: std::env::current_exe().unwrap().to_str().unwrap().into(),
        env: [("NO_COLOR".into(), "1".into())].into(),
        egress_port: 20198,
        limits: seawall_sandbox::spec::Limits {
            pids: Some(2000),
            memory: Some(4 << 30),
            ..Default::default()
        },
    };
    let mut spec = gateway_plan(&plan).unwrap();
    let inner = args.get(3).cloned().unwrap_or_else(|| {
        format!(
            "node {lab}/mock/mock-llm.mjs >/tmp/mock.log 2>&1 & exec node {oc}/openclaw/openclaw.mjs gateway run"
        )
    });
    spec.argv = vec!["/bin/sh".into(), "-c".into(), inner];
    let start = Instant::now();
    let mut jail = match Jail::spawn(&spec, JailIo::own().unwrap()) {
        Ok(jail) => jail,
        Err(e) => {
            println!("ERROR {e}");
            std::process::exit(1);
        }
    };
    println!("pid {} after {:?}, {:?}", jail.pid(), start.elapsed(), jail.facts());
    if args.len() > 3 {
        println!("{:?}", jail.wait());
        return;
    }
    let factory = jail.factory().unwrap().try_clone().unwrap();
    let ask = |request: &str| -> Option<String> {
        let socket = factory.tcp().ok()?;
        let addr = rustix::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, port);
        rustix::net::connect(&socket, &addr).ok()?;
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
        stream.write_all(request.as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text)
    };
    for _ in 0..1500 {
        if jail.try_wait().is_some() {
            break;
        }
        if ask("GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n")
            .is_some_and(|t| t.contains(" 200 "))
        {
            println!("READY after {:?}", start.elapsed());
            let body = r#"{"model":"openclaw/main","messages":[{"role":"user","content":"<<tool exec {\"command\":\"id; ls -la ~ /; cat /proc/self/status | grep -E 'Sec|NoNew|Cap'; touch SOUL.md; mkdir skills/x; rm -rf .agents; mv .agents q\"}>>"}]}"#;
            let request = format!(
                "POST /v1/chat/completions HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer lab-token-0123456789\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            println!("TURN {:?}", ask(&request));
            break;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    println!("stop: {:?} after {:?}", jail.terminate(Duration::from_secs(10)), start.elapsed());
}
