//! Frames on a connection: a length in four bytes, then that many bytes.

use std::io::{self, Read, Write};

use bytes::Bytes;

/// The next frame, or `None` when the peer has closed between two frames.
///
/// # Errors
///
/// `InvalidData` when the announced length is negative or above `bytes_max`; nothing of that frame is read then.
pub(crate) fn read(from: &mut impl Read, bytes_max: usize) -> io::Result<Option<Bytes>> {
    let mut length = [0u8; 4];
    match from.read_exact(&mut length) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = i32::from_be_bytes(length);
    let bytes = usize::try_from(length).unwrap_or(usize::MAX);
    if bytes > bytes_max {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("read a frame of {length} bytes, more than the {bytes_max} allowed"),
        ));
    }
    // Grows as bytes arrive, so that a length alone reserves no more than this.
    let mut frame = Vec::with_capacity(bytes.min(1024 * 1024));
    from.take(bytes as u64).read_to_end(&mut frame)?;
    if frame.len() < bytes {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(Bytes::from(frame)))
}

/// Writes one frame.
pub(crate) fn write(to: &mut impl Write, frame: &[u8]) -> io::Result<()> {
    let length = i32::try_from(frame.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "answer a frame above 2 GiB"))?;
    // In one write: two would be two packets.
    if frame.len() <= 64 * 1024 {
        return to.write_all(&[&length.to_be_bytes(), frame].concat());
    }
    to.write_all(&length.to_be_bytes())?;
    to.write_all(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_whole() {
        let mut wire = Vec::new();
        write(&mut wire, b"abc").unwrap();
        write(&mut wire, b"").unwrap();
        let mut from = wire.as_slice();
        assert_eq!(read(&mut from, 3).unwrap().unwrap().as_ref(), b"abc");
        assert_eq!(read(&mut from, 3).unwrap().unwrap().as_ref(), b"");
        assert!(read(&mut from, 3).unwrap().is_none());
    }

    #[test]
    fn a_frame_above_the_limit_is_refused_by_its_length_alone() {
        let too_long = read(&mut 4i32.to_be_bytes().as_slice(), 3).unwrap_err();
        assert_eq!(too_long.kind(), io::ErrorKind::InvalidData);
        let negative = read(&mut (-1i32).to_be_bytes().as_slice(), 3).unwrap_err();
        assert_eq!(negative.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_frame_cut_short_is_an_error() {
        let mut wire = 4i32.to_be_bytes().to_vec();
        wire.extend(b"ab");
        let cut = read(&mut wire.as_slice(), 100).unwrap_err();
        assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
    }
}
