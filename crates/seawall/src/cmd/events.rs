//! `seawall events tail|query|verify`.

use crate::deploy::{Deployment, Wanted};
use crate::home::Home;
use crate::store::{Filter, Reader};
use seawall_model::Event;
use std::process::ExitCode;
use std::time::Duration;

/// Read the event log, or prove that it is whole.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
    /// OpenClaw's named profile.
    #[arg(long, global = true)]
    profile: Option<String>,
    /// One JSON object a line instead of text.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum What {
    /// Follow the log.
    Tail {
        /// How many events to show before following.
        #[arg(short = 'n', long, default_value_t = 20)]
        lines: u32,
        #[command(flatten)]
        filter: FilterArgs,
    },
    /// Show the newest events that match, oldest first.
    Query {
        /// Most events to show; default 100, and all with --after.
        #[arg(long)]
        limit: Option<u32>,
        /// Only events behind this number, oldest first.
        #[arg(long, value_name = "SEQ")]
        after: Option<u64>,
        #[command(flatten)]
        filter: FilterArgs,
    },
    /// Check every hash and every signed checkpoint. Exit code 0 when the log is whole, 1 when it
    /// is not.
    Verify,
}

#[derive(clap::Args)]
struct FilterArgs {
    /// Plane: hook, engine, door, egress, kernel, install, secrets, log, lifecycle.
    #[arg(long)]
    plane: Option<String>,
    /// Kind, such as `decision`; with a dot at its end, all kinds that begin so.
    #[arg(long)]
    kind: Option<String>,
    /// allow, rewrite, ask or deny.
    #[arg(long)]
    decision: Option<String>,
    /// Session key.
    #[arg(long)]
    session: Option<String>,
    /// Call id.
    #[arg(long)]
    call: Option<String>,
    /// Only events of the last so many minutes.
    #[arg(long, value_name = "MINUTES")]
    since: Option<u64>,
}

impl FilterArgs {
    fn filter(&self) -> Filter {
        Filter {
            after: None,
            plane: self.plane.clone(),
            kind: self.kind.clone(),
            decision: self.decision.clone(),
            session: self.session.clone(),
            call: self.call.clone(),
            since_ms: self.since.map(|minutes| {
                crate::clock::now_ms().saturating_sub(minutes.saturating_mul(60_000))
            }),
            newest_first: true,
        }
    }
}

pub(crate) fn run(args: &Args) -> ExitCode {
    match events(args) {
        Ok(code) => code,
        Err(why) => super::fail(&why),
    }
}

fn events(args: &Args) -> Result<ExitCode, String> {
    let deployment =
        Deployment::find(&Wanted::from_env(args.profile.clone())).map_err(|e| e.to_string())?;
    let path = Home::locate(&deployment.name)?.events();
    if !path.exists() {
        return Err(format!(
            "there is no event log at `{}` yet; start Seawall with `seawall up`",
            path.display()
        ));
    }
    let reader = Reader::open(&path)?;
    match &args.what {
        What::Verify => {
            let report = reader.verify()?;
            if args.json {
                super::print(&format!(
                    "{}\n",
                    serde_json::to_string(&report).map_err(|e| e.to_string())?
                ));
            } else {
                let fault = report
                    .fault
                    .as_deref()
                    .map_or("whole".to_owned(), |fault| format!("NOT WHOLE: {fault}"));
                super::print(&format!(
                    "{} events, signed up to event {}: {fault}\n",
                    report.rows, report.signed_to
                ));
            }
            Ok(if report.fault.is_none() { ExitCode::SUCCESS } else { ExitCode::from(1) })
        }
        What::Query { limit, after, filter } => {
            let mut filter = filter.filter();
            filter.after = *after;
            filter.newest_first = after.is_none();
            let limit = limit.unwrap_or(if after.is_some() { u32::MAX } else { 100 });
            let mut rows = reader.rows(&filter, limit)?;
            if filter.newest_first {
                rows.reverse();
            }
            for (seq, event) in &rows {
                super::print(&line(*seq, event, args.json));
            }
            Ok(ExitCode::SUCCESS)
        }
        What::Tail { lines, filter } => {
            let mut filter = filter.filter();
            let mut last = reader.head()?;
            for (seq, event) in reader.rows(&filter, *lines)?.iter().rev() {
                super::print(&line(*seq, event, args.json));
            }
            filter.newest_first = false;
            loop {
                filter.after = Some(last);
                for (seq, event) in reader.rows(&filter, 1000)? {
                    super::print(&line(seq, &event, args.json));
                }
                // Events that the filter passes over need not be read again.
                last = last.max(reader.head()?);
                // A reader of another process is not told of new rows; this is how often it looks.
                std::thread::sleep(Duration::from_millis(250));
            }
        }
    }
}

fn line(seq: u64, event: &Event, as_json: bool) -> String {
    if as_json {
        let mut value = serde_json::to_value(event).unwrap_or_default();
        if let Some(map) = value.as_object_mut() {
            map.insert("seq".into(), seq.into());
        }
        return format!("{value}\n");
    }
    let time = i64::try_from(event.time_ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map_or_else(|| "?".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M:%S").to_string());
    // The summary can hold what a confined program chose: no control characters reach the terminal.
    let summary: String = event.summary.chars().filter(|c| !c.is_control()).collect();
    let session = event.session_key.as_deref().unwrap_or("-");
    let session: String = session.chars().filter(|c| !c.is_control()).collect();
    format!("{seq:>7} {time} {:<9} {:<18} {session}  {summary}\n", event.plane.as_str(), event.kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use seawall_model::Plane;

    #[test]
    fn a_line_is_plain_text() {
        let mut event =
            Event::new(1_700_000_000_000, Plane::Engine, "decision", "deny exec: \u{1b}[2J no");
        event.session_key = Some("agent:main:main".into());
        insta::assert_snapshot!(line(7, &event, false), @"      7 2023-11-14 22:13:20 engine    decision           agent:main:main  deny exec: [2J no");
    }
}
