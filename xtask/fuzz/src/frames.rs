//! A client's WebSocket bytes: one verdict however they are cut, and the one of the plain version.

use std::time::Instant;

use frame_guard::plain::{Plain, check as check_plainly};
use frame_guard::{Bounds, Checked, Checker, Violation};

/// Little, so that a stream can be over it.
const BOUNDS: Bounds = Bounds { message_bytes: 300 };

/// The first byte says how the rest is cut.
pub(crate) fn check(bytes: &[u8]) {
    let Some((&cut, stream)) = bytes.split_first() else {
        return;
    };
    let whole = verdict([stream]);
    assert_eq!(
        verdict(stream.chunks(usize::from(cut) + 1)),
        whole,
        "cut every {cut} bytes"
    );
    assert_eq!(verdict(stream.chunks(1)), whole, "byte by byte");
    let (Checked::Closed(passed) | Checked::Broken(passed, _)) = whole else {
        assert_eq!(check_plainly(stream, BOUNDS.message_bytes), Plain::Open);
        return;
    };
    assert!(passed <= stream.len(), "no more is passed than came");
    // What was passed before a broken rule breaks none.
    let again = verdict([&stream[..passed]]);
    match whole {
        Checked::Broken(_, violation) => {
            assert_eq!(again, Checked::All, "what is passed is good");
            let is_flood = matches!(violation, Violation::TooManyControls | Violation::TooManyFragments);
            let plain = Plain::Broken(violation.close().0);
            assert!(
                is_flood || check_plainly(stream, BOUNDS.message_bytes) == plain,
                "{violation:?}"
            );
        }
        Checked::Closed(_) | Checked::All => {
            assert_eq!(again, whole);
            assert_eq!(check_plainly(stream, BOUNDS.message_bytes), Plain::Closed);
        }
    }
}

fn verdict<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Checked {
    let (mut checker, now, mut before) = (Checker::new(BOUNDS), Instant::now(), 0);
    for piece in pieces {
        match checker.check(piece, now) {
            Checked::All => before += piece.len(),
            Checked::Closed(good) => return Checked::Closed(before + good),
            Checked::Broken(good, violation) => return Checked::Broken(before + good, violation),
        }
    }
    Checked::All
}
