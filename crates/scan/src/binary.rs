//! Programs in compiled form: what they are, whether they hide.

use crate::report::{Capabilities, Findings};
use goblin::Object;
use seawall_model::finding::Level;

/// What the first bytes say.
fn magic(bytes: &[u8]) -> Option<&'static str> {
    Some(match bytes {
        [0x7f, b'E', b'L', b'F', ..] => "ELF program",
        [b'M', b'Z', ..] if bytes.len() > 64 => "Windows program",
        [0xfe, 0xed, 0xfa, 0xce | 0xcf, ..] | [0xce | 0xcf, 0xfa, 0xed, 0xfe, ..] => {
            "macOS program"
        }
        [0xca, 0xfe, 0xba, 0xbe, _, _, _, n, ..] => {
            if *n < 20 {
                "macOS program"
            } else {
                "Java class"
            }
        }
        [0, b'a', b's', b'm', ..] => "WebAssembly module",
        [b'F', b'a', b's', b'd', b'U', b'A', b'S', ..] => "compiled AppleScript",
        [_, _, 0x0d, 0x0a, 0, 0, 0, 0, ..] => "compiled Python",
        [0x4c, 0, 0, 0, 1, 0x14, 2, 0, ..] => "Windows shortcut",
        [b'd', b'e', b'x', b'\n', ..] => "Android program",
        _ => return None,
    })
}

/// Endings under which nobody expects a program.
const HARMLESS: &[&str] = &[
    "png", "jpg", "jpeg", "gif", "webp", "svg", "ico", "pdf", "txt", "md", "json", "yaml", "yml",
    "csv", "xml", "html", "css", "ttf", "woff", "woff2", "mp3", "mp4", "wav", "docx", "xlsx",
    "pptx", "log",
];

/// Formats of data that no interpreter runs and no gateway loads, by their first bytes.
const DATA: &[&[u8]] = &[
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"RIFF",
    b"%PDF",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ",
    b"7z\xbc\xaf",
    b"\x28\xb5\x2f\xfd",
    b"\xd0\xcf\x11\xe0",
    b"\0\x01\0\0",
    b"OTTO",
    b"true\0",
    b"ttcf",
    b"wOFF",
    b"wOF2",
    b"ID3",
    b"\xff\xfb",
    b"\xff\xf3",
    b"\xff\xf1",
    b"fLaC",
    b"OggS",
    b"SQLite format 3\0",
    b"\0\0\x01\0",
    b"BM",
    b"II*\0",
    b"MM\0*",
    b"8BPS",
    b"Rar!",
    b"MThd",
    b"\0\0\0\x01Bud1",
    b"\x93NUMPY",
    b"glTF",
    b"\x1aE\xdf\xa3",
    b"GGUF",
    b"icns",
    b"DIRC",
    b"\xfftOc",
];

/// Whether the first bytes are those of a program.
pub(crate) fn known(bytes: &[u8]) -> bool {
    magic(bytes).is_some()
}

/// Whether the first bytes are those of data that is no text.
pub(crate) fn data(bytes: &[u8]) -> bool {
    DATA.iter().any(|mark| bytes.starts_with(mark))
        || bytes.get(4..8) == Some(b"ftyp")
        || bytes.get(257..262) == Some(b"ustar")
}

/// Looks at a file that is not text.
pub(crate) fn look(
    path: &str,
    bytes: &[u8],
    findings: &mut Findings<'_>,
    capabilities: &mut Capabilities,
) {
    let name = path.rsplit(['/', '!']).next().unwrap_or(path).to_ascii_lowercase();
    let ending = name.rsplit_once('.').map_or("", |(_, e)| e);
    let Some(kind) = magic(bytes) else {
        let parts: Vec<&str> = name.split('.').collect();
        if parts.len() > 2
            && matches!(ending, "exe" | "scr" | "lnk" | "bat" | "cmd" | "vbs" | "js")
            && parts.iter().rev().nth(1).is_some_and(|p| HARMLESS.contains(p))
        {
            findings.add(
                "disguised-file",
                path,
                0,
                "two endings: a program under the name of a document",
            );
        }
        if !data(bytes) {
            findings.add("odd-text", path, 0, "is no text and of no format that is known here");
        }
        return;
    };
    Capabilities::add(&mut capabilities.programs, path);
    if HARMLESS.contains(&ending) {
        findings.add(
            "disguised-file",
            path,
            0,
            format!("is a {kind} under the name of a .{ending} file"),
        );
        return;
    }
    if kind == "WebAssembly module" || (kind == "compiled Python" && path.contains("__pycache__")) {
        findings.add_at(
            "binary-program",
            Level::Low,
            path,
            0,
            format!("is a {kind}: its source is not here"),
        );
        return;
    }
    let signs = hidden_signs(bytes);
    if signs.is_empty() {
        findings.add("binary-program", path, 0, format!("is a {kind}, which nobody can read"));
    } else {
        findings.add(
            "binary-suspicious",
            path,
            0,
            format!("is a {kind} that {}", signs.join(" and ")),
        );
    }
}

fn hidden_signs(bytes: &[u8]) -> Vec<String> {
    let mut out = Vec::new();
    let mut names: Vec<String> = Vec::new();
    match Object::parse(bytes) {
        Ok(Object::Elf(elf)) => {
            names.extend(
                elf.dynsyms
                    .iter()
                    .take(20_000)
                    .filter_map(|s| elf.dynstrtab.get_at(s.st_name).map(str::to_owned)),
            );
            if elf.section_headers.is_empty() && elf.libraries.is_empty() {
                out.push("has no section table".to_owned());
            }
        }
        Ok(Object::PE(pe)) => {
            names.extend(pe.imports.iter().take(20_000).map(|i| i.name.to_string()));
            for section in &pe.sections {
                let name = section.name().unwrap_or("");
                if name.starts_with("UPX")
                    || name.contains("packed")
                    || name.starts_with(".vmp")
                    || name.starts_with(".themida")
                {
                    out.push("is packed".to_owned());
                    break;
                }
            }
        }
        Ok(Object::Mach(goblin::mach::Mach::Binary(mach))) => {
            if let Ok(imports) = mach.imports() {
                names.extend(imports.iter().take(20_000).map(|i| i.name.to_owned()));
            }
        }
        Ok(_) => {}
        Err(_) => out.push("is damaged or deliberately malformed".to_owned()),
    }
    if find(bytes, b"UPX!") && !out.iter().any(|s| s.contains("packed")) {
        out.push("is packed".to_owned());
    }
    if names.iter().any(|n| {
        matches!(
            n.as_str(),
            "ptrace"
                | "CreateRemoteThread"
                | "WriteProcessMemory"
                | "SetWindowsHookExA"
                | "SetWindowsHookExW"
                | "GetAsyncKeyState"
                | "CGEventTapCreate"
                | "CryptUnprotectData"
                | "SecKeychainFindGenericPassword"
        )
    }) {
        out.push("reaches into other programs or credential stores".to_owned());
    }
    let code = bytes.get(..bytes.len().min(1 << 20)).unwrap_or(bytes);
    if bytes.len() > 16_384 && entropy(code) > 7.6 {
        out.push("is compressed or encrypted".to_owned());
    }
    out.dedup();
    out
}

fn find(bytes: &[u8], needle: &[u8]) -> bool {
    let head = bytes.get(..bytes.len().min(8_192)).unwrap_or(bytes);
    head.windows(needle.len()).any(|w| w == needle)
}

fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    for b in bytes {
        if let Some(count) = counts.get_mut(usize::from(*b)) {
            *count += 1;
        }
    }
    let total = bytes.len().max(1) as f64;
    counts.iter().filter(|c| **c > 0).map(|c| f64::from(*c) / total).map(|p| -p * p.log2()).sum()
}
