//! From the user's deployment to a rendered snapshot: everything that is checked before anything
//! is started.

use crate::deploy::{self, Deployment, LoadedConfig, Runtime, Wanted};
use crate::home::Home;
use crate::render::{self, Facts, Forward, Frame, Rendered};
use crate::settings::Settings;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where things are inside the gateway's namespaces.
pub(crate) const RUN_DIR: &str = "/run/seawall";

/// Port of the egress proxy inside. The gateway's namespace holds nothing else but the gateway, so
/// a fixed port can only be in the way of the gateway's own.
const PROXY_PORT: u16 = 3128;

/// What the command line chose.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Choice {
    /// OpenClaw's named profile, as in `openclaw --profile`.
    #[arg(long)]
    pub(crate) profile: Option<String>,
    /// The `openclaw` program; default: the first on PATH.
    #[arg(long, value_name = "PATH")]
    pub(crate) openclaw: Option<PathBuf>,
    /// The `node` program; default: the one beside `openclaw`, else the first on PATH.
    #[arg(long, value_name = "PATH")]
    pub(crate) node: Option<PathBuf>,
    /// Run with an OpenClaw for which the tables of this Seawall were not made.
    #[arg(long)]
    pub(crate) allow_untested_openclaw: bool,
}

/// A deployment that can be guarded.
pub(crate) struct Prepared {
    pub(crate) deployment: Deployment,
    pub(crate) loaded: LoadedConfig,
    pub(crate) runtime: Runtime,
    pub(crate) home: Home,
    pub(crate) settings: Settings,
    pub(crate) facts: Facts,
    pub(crate) frame: Frame,
    pub(crate) rendered: Rendered,
    /// This program. Read once: after an upgrade in place its name leads to the new one, and what
    /// is running has none.
    pub(crate) program: PathBuf,
}

/// Finds and reads everything; changes nothing but Seawall's own (empty) folder.
pub(crate) fn prepare(choice: &Choice) -> Result<Prepared, String> {
    let deployment =
        Deployment::find(&Wanted::from_env(choice.profile.clone())).map_err(|e| e.to_string())?;
    let home = Home::locate(&deployment.name)?;
    let settings = Settings::load(&home.settings())?;
    let loaded = deploy::load(&deployment.config_path, &deployment.include_roots)
        .map_err(|e| e.to_string())?;
    let path =
        std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/local/bin:/usr/bin:/bin"));
    let runtime = Runtime::find(
        choice.openclaw.as_deref(),
        choice.node.as_deref(),
        &path,
        choice.allow_untested_openclaw,
    )
    .map_err(|e| e.to_string())?;
    let (facts, frame, rendered) = render_for(&deployment, &loaded, &settings);
    let program = std::env::current_exe().map_err(|e| format!("cannot find this program: {e}"))?;
    Ok(Prepared { program, deployment, loaded, runtime, home, settings, facts, frame, rendered })
}

/// Renders a deployment's configuration.
pub(crate) fn render_for(
    deployment: &Deployment,
    loaded: &LoadedConfig,
    settings: &Settings,
) -> (Facts, Frame, Rendered) {
    let config_dir = deployment.config_path.parent().unwrap_or(Path::new("/"));
    let mut facts = Facts::of(&loaded.value, &deployment.home, &deployment.state_dir, config_dir);
    facts.mcp_tools = crate::cmd::skill::approved_tools(facts.mcp.keys());
    facts.forwards.extend(
        settings
            .gateway
            .forwards
            .iter()
            .map(|port| Forward { port: *port, why: "gateway.forwards".into() }),
    );
    let run = Path::new(RUN_DIR);
    // The gateway's port inside must be free there: it may not be a forward's or the proxy's.
    let taken =
        |port: u16| port == PROXY_PORT || facts.forwards.iter().any(|forward| forward.port == port);
    let gateway_port =
        (facts.public_port..=u16::MAX).chain(20_000..).find(|port| !taken(*port)).unwrap_or(18_789);
    let proxy_port = (PROXY_PORT..)
        .find(|port| !facts.forwards.iter().any(|f| f.port == *port))
        .unwrap_or(PROXY_PORT);
    let frame = Frame {
        gateway_port,
        proxy_port,
        plugin_dir: run.join("sockets/plugin"),
        seawall: run.join("bin/seawall"),
        skills_lock: crate::cmd::skill::gate_lock(),
        log_file: deployment.state_dir.join("logs/gateway.log"),
        state_dir: deployment.state_dir.clone(),
        door: crate::daemon::door_config(),
    };
    let rendered = render::render(&loaded.value, &frame);
    (facts, frame, rendered)
}
