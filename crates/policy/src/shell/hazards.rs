//! Environment variables that make ordinary programs run or load something else.

/// Exact names.
const NAMES: &[&str] = &[
    "PATH",
    "ENV",
    "SHELL",
    "HOME",
    "CDPATH",
    "PROMPT_COMMAND",
    "PS0",
    "PS1",
    "PS2",
    "PS4",
    "EXECIGNORE",
    "EDITOR",
    "VISUAL",
    "PAGER",
    "MANPAGER",
    "LESSOPEN",
    "LESSCLOSE",
    "LESS",
    "BROWSER",
    "GCONV_PATH",
    "LOCPATH",
    "TERMINFO",
    "TERMCAP",
    "HOSTALIASES",
    "RES_OPTIONS",
    "NODE_OPTIONS",
    "NODE_PATH",
    "JAVA_TOOL_OPTIONS",
    "_JAVA_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "CLASSPATH",
    "MAVEN_OPTS",
    "GRADLE_OPTS",
    "RUBYOPT",
    "RUBYLIB",
    "GEM_HOME",
    "GEM_PATH",
    "BUNDLE_GEMFILE",
    "PERL5OPT",
    "PERL5LIB",
    "PERL5DB",
    "PERLLIB",
    "LUA_INIT",
    "LUA_PATH",
    "LUA_CPATH",
    "R_PROFILE",
    "R_ENVIRON",
    "PHPRC",
    "PHP_INI_SCAN_DIR",
    "CC",
    "CXX",
    "CFLAGS",
    "LDFLAGS",
    "RUSTC",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
    "RUSTDOC",
    "MAKEFLAGS",
    "MAKEFILES",
    "GOFLAGS",
    "GOPATH",
    "GOROOT",
    "GOENV",
    "RSYNC_RSH",
    "CVS_RSH",
    "SSH_ASKPASS",
    "SUDO_ASKPASS",
    "SSH_AUTH_SOCK",
    "CURL_HOME",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "WGETRC",
    "REQUESTS_CA_BUNDLE",
    "http_proxy",
    "https_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "all_proxy",
    "no_proxy",
    "NO_PROXY",
    "ftp_proxy",
    "FTP_PROXY",
    "TAR_OPTIONS",
    "GREP_OPTIONS",
    "ZIPOPT",
    "UNZIP",
    "GZIP",
    "XZ_OPT",
    "VIMINIT",
    "EXINIT",
    "MYVIMRC",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_CONFIG_DIRS",
    "DOCKER_HOST",
    "DOCKER_CONFIG",
    "KUBECONFIG",
    "AWS_CONFIG_FILE",
    "OPENSSL_CONF",
    "OPENSSL_MODULES",
    "INPUTRC",
    "FCEDIT",
    "MAIL",
    "MAILPATH",
    "HISTFILE",
    "FPATH",
    "ZDOTDIR",
    "command_not_found_handle",
];

/// Families.
const PREFIXES: &[&str] = &[
    "LD_",
    "DYLD_",
    "BASH_",
    "GIT_",
    "PYTHON",
    "npm_config_",
    "NPM_CONFIG_",
    "PIP_",
    "CARGO_",
    "OPENCLAW_",
    "SEAWALL_",
    "GLIBC_",
    "MALLOC_",
    "UV_",
    "YARN_",
    "COREPACK_",
    "RUSTUP_",
];

/// Members of the families, and values, that change nothing but output.
const HARMLESS: &[&str] = &[
    "GIT_TERMINAL_PROMPT",
    "GIT_AUTHOR_NAME",
    "GIT_AUTHOR_EMAIL",
    "GIT_AUTHOR_DATE",
    "GIT_COMMITTER_NAME",
    "GIT_COMMITTER_EMAIL",
    "GIT_COMMITTER_DATE",
    "GIT_MERGE_AUTOEDIT",
    "PYTHONUNBUFFERED",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONHASHSEED",
    "PYTHONIOENCODING",
    "PYTHONUTF8",
    "CARGO_TERM_COLOR",
    "CARGO_INCREMENTAL",
    "CARGO_BUILD_JOBS",
    "PIP_NO_INPUT",
    "PIP_DISABLE_PIP_VERSION_CHECK",
    "BASH_SILENCE_DEPRECATION_WARNING",
];

/// Whether setting the variable to the value makes programs do other things than their
/// arguments say.
pub(super) fn variable(name: &str, value: &str) -> bool {
    if HARMLESS.contains(&name) {
        return false;
    }
    let listed = NAMES.contains(&name) || PREFIXES.iter().any(|p| name.starts_with(p));
    let pager =
        matches!(name, "PAGER" | "GIT_PAGER" | "MANPAGER" | "LESS" | "EDITOR" | "GIT_EDITOR");
    listed && !(pager && matches!(value, "" | "cat" | "true" | ":" | "-F" | "-FX" | "-R" | "-FRX"))
}

#[cfg(test)]
mod tests {
    use super::variable;

    #[test]
    fn loaders_are_hazards_and_output_settings_are_not() {
        for name in ["LD_PRELOAD", "PATH", "GIT_SSH_COMMAND", "BASH_ENV", "NODE_OPTIONS"] {
            assert!(variable(name, "x"), "{name}");
        }
        assert!(!variable("GIT_PAGER", "cat"));
        assert!(variable("GIT_PAGER", "sh"));
        assert!(!variable("FOO", "x"));
    }
}
