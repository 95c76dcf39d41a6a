//! The tour of the main job: one deployment, first bare and then under Seawall, a model that
//! obeys an attacker, and ordinary work beside it.
//!
//! A case is judged by what can be seen from outside (files, servers, the gateway's state),
//! never by what a reply claims. A case that could not even be tried is broken, whichever kind
//! it is: silence is not safety.

mod attacks;
pub(crate) mod home;
mod http;
mod ordinary;
mod report;
pub(crate) mod run;
pub(crate) mod scene;
pub(crate) mod seawall;
pub(crate) mod storm;
pub(crate) mod target;

pub(crate) use run::{Args, Inner, demo, inside};

use crate::world::model::Step;
use scene::Scene;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// What a case is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Must not land.
    Attack,
    /// Must work.
    Ordinary,
}

/// What was seen while a case was acted out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace {
    /// Tool results as they reached the model, answers and refusals.
    pub(crate) results: Vec<String>,
}

/// A future of a case.
pub(crate) type Acting<'a> = Pin<Box<dyn Future<Output = Result<Trace, String>> + Send + 'a>>;

/// How a case is acted out.
#[derive(Clone, Copy)]
pub(crate) enum Act {
    /// The model plays these steps in a chat turn of the owner.
    Turn(fn() -> Vec<Step>),
    /// A turned plugin runs this program in the gateway's own process.
    Inside(fn() -> String),
    /// Something else. An error means that it could not be tried.
    Do(for<'a> fn(&'a Scene) -> Acting<'a>),
}

/// One case.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    /// Short, stable.
    pub(crate) name: &'static str,
    /// Attack or ordinary.
    pub(crate) kind: Kind,
    /// In one line.
    pub(crate) about: &'static str,
    /// How it is acted out.
    pub(crate) act: Act,
    /// What shows that it landed (or worked): the evidence, or nothing.
    pub(crate) seen: fn(&Scene, &Trace) -> Option<String>,
    /// How long the evidence may take to appear after the act.
    pub(crate) within: Duration,
    /// Whether the gateway may be gone afterwards, so that the next case needs a new one.
    pub(crate) ruins: bool,
}

/// All cases, in the order of the tour.
pub(crate) fn cases() -> Vec<Case> {
    let mut all = attacks::all();
    all.extend(ordinary::all());
    // What may take the gateway down comes last.
    all.sort_by_key(|case| case.ruins);
    all
}

/// RFC 3339 time, so many seconds from now.
fn soon(seconds: u64) -> String {
    let now = jiff::Timestamp::now();
    let span = jiff::SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    now.checked_add(span).unwrap_or(now).to_string()
}
