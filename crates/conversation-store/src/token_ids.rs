//! Encodes token ids as a blob: LEB128, seven bits a byte, the low bits first. Most ids take two or three bytes.

/// Appends `ids` to a blob. Concatenated blobs are the blob of the concatenated ids.
pub(crate) fn encode(ids: &[u32], blob: &mut Vec<u8>) {
    for &id in ids {
        let mut rest = id;
        while rest >= 0x80 {
            blob.push(rest.to_le_bytes()[0] | 0x80);
            rest >>= 7;
        }
        blob.push(rest.to_le_bytes()[0]);
    }
}

/// Decodes a blob. Returns `None` if it ends inside an id or has one over `u32::MAX`.
pub(crate) fn decode(blob: &[u8]) -> Option<Vec<u32>> {
    let mut ids = Vec::with_capacity(blob.len());
    let mut bytes = blob.iter();
    while let Some(&first) = bytes.next() {
        let mut id = u64::from(first & 0x7f);
        let mut byte = first;
        let mut shift = 0;
        while byte & 0x80 != 0 {
            byte = *bytes.next()?;
            shift += 7;
            if shift > 28 {
                return None;
            }
            id |= u64::from(byte & 0x7f) << shift;
        }
        ids.push(u32::try_from(id).ok()?);
    }
    Some(ids)
}
