//! System call filters, compiled at build time from `content/seccomp/*.json`.
//!
//! Each profile is one program: an allowlist that checks the architecture (a call through
//! `int 0x80` kills the process; an x32 number is on no list) and what is refused on top of it by
//! name or argument. `build/bpf.rs` says how it is laid out.

use crate::spec::Profile;
use seccompiler::sock_filter;

mod compiled {
    include!(concat!(env!("OUT_DIR"), "/seccomp.rs"));
}

/// The filter of a profile.
pub(crate) fn filter(profile: Profile) -> Vec<sock_filter> {
    decode(match profile {
        Profile::Gateway => compiled::GATEWAY,
        Profile::Run => compiled::RUN,
        Profile::Own => compiled::OWN,
    })
}

fn decode(bytes: &[u8]) -> Vec<sock_filter> {
    bytes
        .as_chunks::<8>()
        .0
        .iter()
        .map(|[a, b, jt, jf, k @ ..]| sock_filter {
            code: u16::from_ne_bytes([*a, *b]),
            jt: *jt,
            jf: *jf,
            k: u32::from_ne_bytes(*k),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What seccomp gives a program: number, architecture, instruction pointer, arguments.
    struct Data {
        nr: u32,
        arch: u32,
        args: [u64; 6],
    }

    /// Runs a program as the kernel does.
    fn answer(program: &[sock_filter], data: &Data) -> u32 {
        let word = |offset: u32| match offset {
            0 => data.nr,
            4 => data.arch,
            _ => {
                let at = (offset - 16) / 4;
                let arg = data.args[usize::try_from(at / 2).unwrap()];
                u32::try_from(if at.is_multiple_of(2) { arg & 0xffff_ffff } else { arg >> 32 })
                    .unwrap()
            }
        };
        let (mut at, mut a) = (0usize, 0u32);
        loop {
            let op = &program[at];
            at += 1;
            match op.code {
                0x20 => a = word(op.k),
                0x54 => a &= op.k,
                0x05 => at += usize::try_from(op.k).unwrap(),
                0x15 => at += usize::from(if a == op.k { op.jt } else { op.jf }),
                0x25 => at += usize::from(if a > op.k { op.jt } else { op.jf }),
                0x35 => at += usize::from(if a >= op.k { op.jt } else { op.jf }),
                0x06 => return op.k,
                other => panic!("instruction {other:#x}"),
            }
        }
    }

    /// The answer to several programs, the last of which the kernel asks first: the one that
    /// restricts most, and of equals the first. An action counts as more the lower it is, and
    /// "kill the process" lowest of all.
    fn answer_of_all(programs: &[Vec<sock_filter>], data: &Data) -> u32 {
        let rank = |value: u32| (value & 0xffff_0000).cast_signed();
        programs
            .iter()
            .rev()
            .map(|program| answer(program, data))
            .reduce(|kept, new| if rank(new) < rank(kept) { new } else { kept })
            .unwrap()
    }

    fn all() -> [(Vec<sock_filter>, Vec<Vec<sock_filter>>); 3] {
        let lists = |lists: &[&[u8]]| lists.iter().map(|bytes| decode(bytes)).collect();
        [
            (filter(Profile::Gateway), lists(compiled::GATEWAY_LISTS)),
            (filter(Profile::Run), lists(compiled::RUN_LISTS)),
            (filter(Profile::Own), lists(compiled::OWN_LISTS)),
        ]
    }

    #[test]
    fn a_profile_is_of_a_size_that_the_kernel_takes() {
        for (whole, _) in all() {
            assert!(whole.len() > 100 && whole.len() <= 4096, "{}", whole.len());
        }
    }

    /// Values of arguments that some rule asks about, and their neighbours.
    const VALUES: &[u64] = &[
        0,
        1,
        2,
        3,
        4,
        5,
        6,
        8,
        10,
        15,
        16,
        17,
        24,
        30,
        31,
        64,
        0o666,
        0o1777,
        0o2644,
        0o4755,
        0o6755,
        0x8001,
        0x8002,
        0x8003,
        0x8005,
        0x800a,
        21_522,
        21_523,
        21_532,
        21_539,
        0x0002_0000,
        0x0008_0241,
        0x0041_0002,
        0x0200_0000,
        0x0400_0000,
        0x0800_0000,
        0x1000_0000,
        0x2000_0000,
        0x4000_0000,
        0x7e02_0011,
        0xffff_ffff,
        0x1_0000_0000,
        0x1_0000_5412,
        0x1000_0000_0000_0000,
        u64::MAX,
    ];

    #[test]
    fn one_program_answers_as_a_list_for_each_answer_does() {
        for (whole, lists) in all() {
            let arch = whole[1].k;
            let same = |nr: u32, arch: u32, args: [u64; 6]| {
                let data = Data { nr, arch, args };
                let (new, old) = (answer(&whole, &data), answer_of_all(&lists, &data));
                assert_eq!(new, old, "call {nr:#x} of {arch:#x} with {args:x?}");
            };
            let numbers = (0..512u32).chain([
                0x3fff_ffff,
                0x4000_0000,
                0x4000_0001,
                0x4000_0208,
                0x8000_0000,
                u32::MAX,
            ]);
            // Deterministic and spread: a linear congruence.
            let mut seed = 1u64;
            let mut draw = || {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                VALUES[usize::try_from(seed >> 33).unwrap() % VALUES.len()]
            };
            for nr in numbers {
                same(nr, 0x4000_0003, [0; 6]);
                for one in VALUES {
                    for at in 0..4 {
                        let mut args = [0; 6];
                        args[at] = *one;
                        same(nr, arch, args);
                    }
                }
                for _ in 0..100 {
                    same(nr, arch, std::array::from_fn(|_| draw()));
                }
            }
        }
    }
}
