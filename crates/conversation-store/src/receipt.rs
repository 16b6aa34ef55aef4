//! The receipt of an append.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::sync::oneshot;

use crate::{SeqRange, StoreError, error::Result};

/// The pending commit of an append: resolves to its numbers, or to why nothing of it was stored.
#[derive(Debug)]
#[must_use = "an append may fail; only its receipt reports it"]
pub struct Receipt(ReceiptState);

#[derive(Debug)]
enum ReceiptState {
    /// Committed on the fast path.
    Committed(SeqRange),
    /// Queued to the writer.
    Queued(oneshot::Receiver<Result<SeqRange>>),
}

impl Receipt {
    /// Makes the receipt of an append that was committed on the fast path.
    pub(crate) fn committed(seqs: SeqRange) -> Self {
        Self(ReceiptState::Committed(seqs))
    }

    /// Makes the receipt of an append that was queued to the writer.
    pub(crate) fn queued(reply: oneshot::Receiver<Result<SeqRange>>) -> Self {
        Self(ReceiptState::Queued(reply))
    }
}

impl Future for Receipt {
    type Output = Result<SeqRange>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            ReceiptState::Committed(seqs) => Poll::Ready(Ok(*seqs)),
            ReceiptState::Queued(reply) => Pin::new(reply)
                .poll(context)
                .map(|reply| reply.unwrap_or(Err(StoreError::Closed))),
        }
    }
}
