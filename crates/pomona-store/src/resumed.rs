//! A large answer that broke off goes on where it did.

use std::ops::Range;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::{Error, GetResult, GetResultPayload, ObjectMeta, Result};

use crate::careful::{Careful, pause};
use crate::error::is_fatal;

/// Tries in a row that bring nothing.
const TRIES: u32 = 8;

/// An answer had another length than it said.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off: {got} of {expected} bytes came")]
pub(crate) struct BrokeOff {
    pub(crate) expected: u64,
    pub(crate) got: u64,
}

impl From<BrokeOff> for Error {
    fn from(source: BrokeOff) -> Self {
        Self::Generic {
            store: "remote",
            source: Box::new(source),
        }
    }
}

struct State {
    store: Careful,
    meta: ObjectMeta,
    parts: BoxStream<'static, Result<Bytes>>,
    expected: Range<u64>,
    /// Where the next byte belongs.
    next: u64,
    tries: u32,
}

/// The answer, with what is missing at its end asked for again, as long as the object is the same. Answers up to
/// `whole_bytes` are whole already.
pub(crate) fn resumed(store: Careful, answer: GetResult, whole_bytes: u64) -> GetResult {
    let GetResult {
        payload,
        meta,
        range,
        attributes,
    } = answer;
    let payload = match payload {
        GetResultPayload::Stream(parts) if range.end - range.start > whole_bytes => {
            let state = State {
                store,
                meta: meta.clone(),
                parts,
                expected: range.clone(),
                next: range.start,
                tries: 0,
            };
            let parts = stream::try_unfold(state, |state| state.step());
            GetResultPayload::Stream(parts.boxed())
        }
        payload => payload,
    };
    GetResult {
        payload,
        meta,
        range,
        attributes,
    }
}

impl State {
    async fn step(mut self) -> Result<Option<(Bytes, Self)>> {
        loop {
            let expected = self.expected.end - self.expected.start;
            let broke_off = match self.parts.next().await {
                Some(Ok(bytes)) => {
                    self.next += bytes.len() as u64;
                    if self.next > self.expected.end {
                        let got = self.next - self.expected.start;
                        return Err(BrokeOff { expected, got }.into());
                    }
                    self.tries = 0;
                    return Ok(Some((bytes, self)));
                }
                None if self.next == self.expected.end => return Ok(None),
                None => BrokeOff {
                    expected,
                    got: self.next - self.expected.start,
                }
                .into(),
                Some(Err(error)) => error,
            };
            // Without a mark of the version, what follows might be another object's.
            if self.tries == TRIES || self.meta.e_tag.is_none() || is_fatal(&broke_off) {
                return Err(broke_off);
            }
            pause(self.tries).await;
            self.tries += 1;
            let rest = self.next..self.expected.end;
            self.parts = self.store.rest(&self.meta, rest).await?.into_stream();
        }
    }
}
