//! The checks, one file each.

use crate::registry::Check;

macro_rules! checks {
    ($($module:ident)*) => {
        $(mod $module;)*
        /// In the order of ids.
        pub(crate) static ALL: &[&Check] = &[$(&$module::CHECK),*];
    };
}

checks! {
    gateway_bind
}

/// Facts for the tests beside the checks.
#[cfg(test)]
mod given {
    use crate::facts::{Config, Fact, Facts};
    use serde_json::Value;

    /// A deployment of which only the configuration is known.
    pub(super) fn config(value: Value) -> Facts {
        Facts {
            config: Fact::Known(Config { value, files: vec!["/s/openclaw.json".into()] }),
            ..Facts::default()
        }
    }
}
