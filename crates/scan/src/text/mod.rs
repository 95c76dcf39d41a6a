//! Bytes to text, text to what a person and a model would read in it.

pub(crate) mod blob;
pub(crate) mod odd;
pub(crate) mod unicode;
pub(crate) mod urls;

/// Text of a file, or `None` when it is binary. UTF-16 with a byte order mark is text too:
/// PowerShell writes it, and a scanner that skips it is blind to it.
pub(crate) fn decode(bytes: &[u8]) -> Option<String> {
    if let Some(rest) = bytes.strip_prefix(b"\xff\xfe") {
        return Some(utf16(rest, u16::from_le_bytes));
    }
    if let Some(rest) = bytes.strip_prefix(b"\xfe\xff") {
        return Some(utf16(rest, u16::from_be_bytes));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let head = bytes.get(..bytes.len().min(8_192)).unwrap_or(bytes);
    let zeros = head.iter().filter(|b| **b == 0).count();
    if zeros > 0 {
        // UTF-16 without a mark has a zero in every second byte.
        if zeros * 5 >= head.len() * 2 && zeros * 2 <= head.len() + 2 && head.len() > 8 {
            let little = head.iter().skip(1).step_by(2).filter(|b| **b == 0).count();
            let read = if little * 2 >= zeros { u16::from_le_bytes } else { u16::from_be_bytes };
            return Some(utf16(bytes, read));
        }
        return None;
    }
    let odd = head.iter().filter(|b| **b < 9 || (**b > 13 && **b < 32 && **b != 27)).count();
    if odd * 20 > head.len() {
        return None;
    }
    Some(match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    })
}

/// Whether the bytes begin with the mark of UTF-16.
fn utf16_marked(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff")
}

fn utf16(bytes: &[u8], read: fn([u8; 2]) -> u16) -> String {
    let units = bytes.chunks_exact(2).map(|pair| match pair {
        [a, b] => read([*a, *b]),
        _ => 0,
    });
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// Line of a byte offset, from 1.
pub(crate) fn line_of(text: &str, at: usize) -> u32 {
    let before = text.as_bytes().get(..at.min(text.len())).unwrap_or(&[]);
    u32::try_from(before.iter().filter(|b| **b == b'\n').count() + 1).unwrap_or(u32::MAX)
}

/// Lines of many offsets of one text, without counting from its beginning each time.
pub(crate) struct Lines(Vec<usize>);

impl Lines {
    pub(crate) fn of(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at).collect())
    }

    /// Line of a byte offset, from 1.
    pub(crate) fn at(&self, at: usize) -> u32 {
        u32::try_from(self.0.partition_point(|end| *end < at) + 1).unwrap_or(u32::MAX)
    }
}

/// `text` shortened for a message.
pub(crate) fn clip(text: &str, max: usize) -> String {
    let mut out = String::new();
    let mut room = max;
    for word in text.split_whitespace() {
        let gap = usize::from(!out.is_empty());
        let length = word.chars().take(room + 1).count() + gap;
        if length > room {
            out.extend(" ".chars().take(gap).chain(word.chars()).take(room));
            out.push('…');
            return out;
        }
        out.extend(" ".chars().take(gap));
        out.push_str(word);
        room -= length;
    }
    out
}
