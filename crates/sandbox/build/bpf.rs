//! One program for a whole profile: a binary search for the call's number, then what is refused
//! of this call by its arguments, then whether it is on the list.
//!
//! The kernel walks a program once for each number when it is installed, and again for each call
//! that is decided by arguments. A list is as long as the profile; the search has some nine steps.

use std::collections::BTreeMap;

/// An instruction of classic BPF: code, jump if true, jump if false, operand.
pub(crate) type Op = (u16, u8, u8, u32);

const LD: u16 = 0x20;
const AND: u16 = 0x54;
const JA: u16 = 0x05;
const JEQ: u16 = 0x15;
const JGE: u16 = 0x35;
const RET: u16 = 0x06;

const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;
const KILL_PROCESS: u32 = 0x8000_0000;

/// Offsets in `struct seccomp_data`.
const NR: u32 = 0;
const ARCH: u32 = 4;
const ARGS: u32 = 16;

/// One condition on an argument.
#[derive(Debug, Clone)]
pub(crate) enum Test {
    /// Its lower half is, or is not, a value.
    Half { index: u32, equal: bool, value: u32 },
    /// Its bits under a mask are a value.
    Masked { index: u32, mask: u64, value: u64 },
}

/// What becomes of one call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Call {
    /// Whether it is on the list at all.
    pub(crate) allowed: bool,
    /// Refusals with their tests, all of which must hold. The first that matches wins.
    pub(crate) refusals: Vec<(u32, Vec<Test>)>,
}

/// What a range of numbers gets.
#[derive(Clone)]
enum Fate {
    Return(u32),
    Judge(Vec<Op>),
}

/// Compiles a profile. `unknown` is the error for what is on no list.
pub(crate) fn compile(calls: &BTreeMap<u32, Call>, arch: u32, unknown: u32) -> Vec<Op> {
    let mut ranges: Vec<(u32, Fate)> = vec![(0, Fate::Return(ERRNO | unknown))];
    for (number, call) in calls {
        let fate = fate(call, unknown);
        match ranges.last() {
            Some((start, _)) if start == number => {
                ranges.pop();
            }
            _ => {}
        }
        push(&mut ranges, *number, fate);
        push(&mut ranges, number + 1, Fate::Return(ERRNO | unknown));
    }
    let mut program =
        vec![(LD, 0, 0, ARCH), (JEQ, 1, 0, arch), (RET, 0, 0, KILL_PROCESS), (LD, 0, 0, NR)];
    program.extend(search(&ranges));
    program
}

fn push(ranges: &mut Vec<(u32, Fate)>, start: u32, fate: Fate) {
    if let (Some((_, Fate::Return(last))), Fate::Return(new)) = (ranges.last(), &fate)
        && last == new
    {
        return;
    }
    ranges.push((start, fate));
}

fn fate(call: &Call, unknown: u32) -> Fate {
    let end = if call.allowed { ALLOW } else { ERRNO | unknown };
    let mut ops = Vec::new();
    for (errno, tests) in &call.refusals {
        let mut refusal: Vec<Op> = vec![(RET, 0, 0, ERRNO | errno)];
        for test in tests.iter().rev() {
            refusal.splice(0..0, check(test, refusal.len()));
        }
        ops.extend(refusal);
        if tests.is_empty() {
            break;
        }
    }
    match ops.as_slice() {
        [] => Fate::Return(end),
        [(RET, _, _, value)] => Fate::Return(*value),
        _ => {
            ops.push((RET, 0, 0, end));
            Fate::Judge(ops)
        }
    }
}

/// Instructions that go on when a test holds, and jump over the `behind` that follow when not.
fn check(test: &Test, behind: usize) -> Vec<Op> {
    let behind = u8::try_from(behind).expect("a refusal is short");
    // Little-endian: the lower half comes first.
    let low = |index: &u32| (LD, 0, 0, ARGS + 8 * index);
    let high = |index: &u32| (LD, 0, 0, ARGS + 8 * index + 4);
    match test {
        Test::Half { index, equal: true, value } => vec![low(index), (JEQ, 0, behind, *value)],
        Test::Half { index, equal: false, value } => vec![low(index), (JEQ, behind, 0, *value)],
        Test::Masked { index, mask, value } => {
            let half = |bits: u64| u32::try_from(bits & 0xffff_ffff).expect("masked");
            let mut ops =
                vec![low(index), (AND, 0, 0, half(*mask)), (JEQ, 0, behind, half(*value))];
            if mask >> 32 != 0 {
                let over = behind + 3;
                ops.splice(
                    0..0,
                    [high(index), (AND, 0, 0, half(mask >> 32)), (JEQ, 0, over, half(value >> 32))],
                );
            }
            ops
        }
    }
}

fn search(ranges: &[(u32, Fate)]) -> Vec<Op> {
    match ranges {
        [(_, Fate::Return(value))] => return vec![(RET, 0, 0, *value)],
        [(_, Fate::Judge(ops))] => return ops.clone(),
        _ => {}
    }
    let (below, above) = ranges.split_at(ranges.len() / 2);
    let (start, left, right) = (above[0].0, search(below), search(above));
    let mut ops = match u8::try_from(left.len()) {
        Ok(over) => vec![(JGE, over, 0, start)],
        // Conditional jumps reach 255 instructions.
        Err(_) => {
            let over = u32::try_from(left.len()).expect("a program is short");
            vec![(JGE, 0, 1, start), (JA, 0, 0, over)]
        }
    };
    ops.extend(left);
    ops.extend(right);
    ops
}
