//! Statements about every request that a policy can get: proven, or refuted by a request.
//!
//! An [`Invariant`] says that whatever matches it is denied, or at least asked about. The rules of a
//! bundle and the invariant are compiled into formulas (`cedar-policy-symcc`), and the solver cvc5
//! looks for a request that the rules let through although the invariant matches it. None: it holds
//! for all requests. One: it is made as small as it gets, given to the evaluator that also decides
//! in production, and shown.
//!
//! What is assumed of a request: an attribute that takes one of a few values takes one of them
//! ([`seawall_policy::facts::domains`]). Nothing else, so a request may be shown that no call leads
//! to. What is not looked at: sequences, budgets and the engine that finds the facts. The first two
//! only ever take away, so what holds without them holds with them. A person's yes lifts an ask.

mod invariant;
mod witness;

pub use invariant::{Floor, Invariant, SHIPPED, read};
pub use witness::Witness;

use cedar_policy::{PolicySet, RequestEnv, Schema};
use cedar_policy_symcc::solver::LocalSolver;
use cedar_policy_symcc::{CedarSymCompiler, CompiledPolicySet};
use seawall_policy::{Bundle, rules};
use serde::Serialize;
use std::ffi::OsString;
use std::time::{Duration, Instant};

/// How a proof is run.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The solver's program.
    pub solver: OsString,
    /// Longest time for one question to it.
    pub query: Duration,
    /// Longest time for everything.
    pub total: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            solver: std::env::var_os("CVC5").unwrap_or_else(|| "cvc5".into()),
            // One takes some 10 ms; what takes longer than this does not end by waiting.
            query: Duration::from_secs(10),
            total: Duration::from_secs(120),
        }
    }
}

/// What became of an invariant.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// There is no request that breaks it.
    Holds,
    /// There are requests that break it.
    Fails {
        /// Verbs with which it is broken.
        actions: Vec<String>,
        /// A request that is let through.
        witness: Witness,
    },
    /// It matches no request, so it says nothing.
    Empty,
    /// It could not be told.
    Undecided {
        /// Why.
        why: String,
    },
}

/// One invariant, judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub file: String,
    /// Why it should hold.
    pub reason: String,
    /// What it asks for.
    pub floor: Floor,
    /// What became of it.
    #[serde(flatten)]
    pub state: State,
}

/// Why nothing could be judged at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(pub String);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Judges invariants against the rules of a bundle.
///
/// # Errors
/// When there is no solver or the rules cannot be compiled. A question that the solver does not
/// answer in time is [`State::Undecided`].
pub fn prove(
    bundle: &Bundle,
    invariants: &[Invariant],
    limits: &Limits,
) -> Result<Vec<Judged>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure(e.to_string()))?;
    runtime.block_on(async {
        let schema = rules::schema().map_err(Failure)?;
        let mut prover = Prover {
            bundle,
            schema,
            limits,
            until: Instant::now() + limits.total,
            solver: Some(start(limits)?),
            worlds: worlds(bundle, schema)?,
        };
        let mut out = Vec::new();
        for invariant in invariants {
            let state = match prover.judge(invariant).await {
                Ok(state) => state,
                Err(why) => State::Undecided { why },
            };
            out.push(Judged {
                id: invariant.id.clone(),
                file: invariant.file.clone(),
                reason: invariant.reason.clone(),
                floor: invariant.floor,
                state,
            });
        }
        Ok(out)
    })
}

/// The rules of the bundle for one verb.
struct World {
    env: RequestEnv,
    /// What is not denied.
    undenied: CompiledPolicySet,
    /// What is allowed without a question.
    unasked: CompiledPolicySet,
}

fn worlds(bundle: &Bundle, schema: &Schema) -> Result<Vec<World>, Failure> {
    let fail = |e: String| Failure(format!("the rules cannot be compiled: {e}"));
    let hard = bundle.rules().hard();
    let mut all = hard.clone();
    for rule in bundle.rules().asking() {
        all.add(rule.clone()).map_err(|e| fail(e.to_string()))?;
    }
    let mut out = Vec::new();
    for env in schema.request_envs() {
        let compile = |set: &PolicySet| {
            CompiledPolicySet::compile(set, &env, schema).map_err(|e| fail(e.to_string()))
        };
        let (undenied, unasked) = (compile(hard)?, compile(&all)?);
        out.push(World { env, undenied, unasked });
    }
    Ok(out)
}

/// Starts the solver. It gets no environment and is ended with its last user.
fn start(limits: &Limits) -> Result<CedarSymCompiler<LocalSolver>, Failure> {
    let mut command = tokio::process::Command::new(&limits.solver);
    command
        .args(["--lang", "smt", &format!("--tlimit-per={}", limits.query.as_millis())])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .kill_on_drop(true);
    let name = limits.solver.to_string_lossy();
    let solver = LocalSolver::from_command(&mut command).map_err(|_| {
        Failure(format!(
            "the solver `{name}` cannot be started; install Debian's package cvc5, or name one in CVC5"
        ))
    })?;
    CedarSymCompiler::new(solver).map_err(|e| Failure(format!("`{name}`: {e}")))
}

struct Prover<'a> {
    bundle: &'a Bundle,
    schema: &'a Schema,
    limits: &'a Limits,
    until: Instant,
    solver: Option<CedarSymCompiler<LocalSolver>>,
    worlds: Vec<World>,
}

impl Prover<'_> {
    async fn judge(&mut self, invariant: &Invariant) -> Result<State, String> {
        let mut empty = true;
        let mut actions = Vec::new();
        let mut witness = None;
        for at in 0..self.worlds.len() {
            let Some(world) = self.worlds.get(at) else { break };
            let verb = world.env.action().id().unescaped().to_owned();
            let compiled = CompiledPolicySet::compile(&invariant.set, &world.env, self.schema)
                .map_err(|e| format!("the invariant cannot be compiled: {e}"))?;
            let rules = match invariant.floor {
                Floor::Deny => world.undenied.clone(),
                Floor::Ask => world.unasked.clone(),
            };
            let broken = self
                .ask(async |solver| {
                    solver.check_disjoint_with_counterexample_opt(&rules, &compiled).await
                })
                .await?;
            match broken {
                Some(env) => {
                    empty = false;
                    actions.push(verb);
                    if witness.is_none() {
                        witness = Some(Witness::new(self.bundle, invariant, &env.request)?);
                    }
                }
                None if empty => {
                    empty = self
                        .ask(async |solver| solver.check_always_denies_opt(&compiled).await)
                        .await?;
                }
                None => {}
            }
        }
        Ok(match witness {
            Some(witness) => State::Fails { actions, witness },
            None if empty => State::Empty,
            None => State::Holds,
        })
    }

    /// One question to the solver, in what time there is. A solver that failed is replaced, so
    /// that its state cannot answer for another question.
    async fn ask<T>(
        &mut self,
        question: impl AsyncFnOnce(
            &mut CedarSymCompiler<LocalSolver>,
        ) -> Result<T, cedar_policy_symcc::err::Error>,
    ) -> Result<T, String> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(format!("{} s were not enough", self.limits.total.as_secs()));
        }
        let mut solver = match self.solver.take() {
            Some(solver) => solver,
            None => start(self.limits).map_err(|e| e.0)?,
        };
        // The solver keeps its own limit; this one is for a solver that does not.
        let longest = left.min(self.limits.query + Duration::from_secs(5));
        match tokio::time::timeout(longest, question(&mut solver)).await {
            Err(_) => Err("the solver did not answer in time".to_owned()),
            Ok(Err(e)) => Err(e.to_string()),
            Ok(Ok(answer)) => {
                self.solver = Some(solver);
                Ok(answer)
            }
        }
    }
}
