//! Programs: ELF, PE, Mach-O and fat ones.
#![no_main]

mod scan;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    const MAGIC: [&[u8]; 6] = [
        b"\x7fELF\x02\x01\x01",
        b"\x7fELF\x01\x02\x01",
        b"MZ",
        b"\xcf\xfa\xed\xfe",
        b"\xca\xfe\xba\xbe",
        b"",
    ];
    let Some((first, rest)) = data.split_first() else { return };
    let bytes = [MAGIC[usize::from(*first) % MAGIC.len()], rest].concat();
    scan::one("tool", &bytes);
});
