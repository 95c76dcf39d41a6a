//! The checks, one file each.

use crate::registry::Check;

mod containers;
mod egress_user;
mod modes;

macro_rules! checks {
    ($($module:ident)*) => {
        $(mod $module;)*
        /// In the order of ids.
        pub(crate) static ALL: &[&Check] = &[$(&$module::CHECK),*];
    };
}

checks! {
    auth_env_conflict
    auth_http_open
    auth_missing
    auth_proxy
    auth_proxy_auto_approve
    auth_proxy_broken
    auth_rate_limit
    auth_weak_secret
    browser_hardening
    browser_remote
    channels_dm_closed
    channels_dm_open
    channels_group_open
    channels_group_senders
    channels_mention
    channels_multi_user
    channels_names
    channels_open_tools
    channels_shared_session
    config_broken
    config_dangerous_flags
    config_newer
    config_roster
    config_suppressions
    config_unknown_key
    container_host_network
    container_mounts
    container_privileged
    container_privileges
    container_root
    container_writable
    cron_commands
    cron_delivery
    cron_triggers
    devices_admin
    devices_pending
    devices_silent
    devices_stale
    discovery_mdns
    egress_filter
    egress_metadata
    elevated_senders
    exec_approvals_skills
    exec_approvals_wide
    exec_default
    exec_full
    exec_mcp_boundary
    exec_read_only
    exec_safe_bins
    exec_sandbox_missing
    exec_trusted_dirs
    files_auth_profiles
    files_backups
    files_config
    files_credentials
    files_database
    files_env
    files_includes
    files_instructions
    files_links
    files_log
    files_sessions
    files_state_dir
    files_synced
    files_truncated
    gateway_auto_pairing
    gateway_bind
    gateway_host_header
    gateway_http_sessions
    gateway_http_tools
    gateway_node_commands
    gateway_node_deny
    gateway_origins
    gateway_proxies
    gateway_real_ip
    gateway_tailscale
    gateway_terminal
    gateway_tls
    hooks_content
    hooks_installs
    hooks_path
    hooks_routing
    hooks_token
    host_bind_mismatch
    host_clock
    host_disk
    host_docker_ports
    host_firewall
    host_gateway_port
    host_kernel
    host_open_ports
    host_port_owner
    incident_playbook
    install_advisories
    install_version
    install_writable
    logging_level
    logging_siem
    mcp_apps
    mcp_unpinned
    models_legacy
    models_rate
    models_small
    models_weak
    monitoring_guard
    plugins_allowlist
    plugins_installs
    plugins_powerful
    plugins_tools
    process_confinement
    process_environment
    process_privileges
    process_root
    sandbox_binds
    sandbox_browser
    sandbox_confinement
    sandbox_network
    sandbox_off
    sandbox_unused_settings
    sandbox_workspace
    secrets_config
    secrets_reach
    secrets_rotation
    secrets_store
    sessions_cross_agent
    sessions_group_scope
    skills_escape
    skills_install_policy
    skills_unapproved
    ssh_forwarding
    ssh_passwords
    ssh_reach
    ssh_root
    summary
    tools_allowlist
    tools_private_network
    tools_profile_overridden
    tools_workspace_only
    unit_hardening
}

/// Facts for the tests beside the checks.
#[cfg(test)]
mod given {
    use crate::facts::{Config, Fact, Facts, FileEntry, FileKind, Files, Install, Shape, State};
    use serde_json::Value;

    /// A deployment of which only the configuration is known.
    pub(super) fn config(value: Value) -> Facts {
        let config = Config { value, files: vec!["/s/openclaw.json".into()], ..Config::default() };
        Facts { config: Fact::Known(config), ..Facts::default() }
    }

    /// Sets an environment variable.
    pub(super) fn env(facts: &mut Facts, name: &str, value: &str) {
        if let Fact::Known(config) = &mut facts.config {
            config.env.insert(name.into(), Shape::of(value));
        }
    }

    /// Says which OpenClaw is installed.
    pub(super) fn version(facts: &mut Facts, version: &str) {
        facts.install = Fact::Known(Install { version: version.into(), ..Install::default() });
    }

    /// Fills the state database.
    pub(super) fn state(facts: &mut Facts, fill: impl FnOnce(&mut State)) {
        let mut state = State::default();
        fill(&mut state);
        facts.state = Fact::Known(Some(state));
    }

    /// One file.
    pub(super) fn file(path: &str, kind: FileKind, mode: u32, secrets: &[&str]) -> FileEntry {
        FileEntry {
            path: path.into(),
            kind,
            dir: false,
            mode,
            uid: 0,
            gid: 0,
            link: None,
            acl: false,
            secrets: secrets.iter().map(|text| (*text).to_owned()).collect(),
        }
    }

    /// Sets what is known about files.
    pub(super) fn files(facts: &mut Facts, entries: Vec<FileEntry>) {
        facts.files = Fact::Known(Files { entries, ..Files::default() });
    }
}
