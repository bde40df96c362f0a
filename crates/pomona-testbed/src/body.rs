//! Bodies of answers: counted, and cut short where a fault says so.

use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use s3s::StdError;
use tokio::time::{Sleep, sleep};

use crate::Operation;
use crate::counters::Flight;

/// How long a cut body rests before its connection closes, so that what was written so far leaves first.
const REST: Duration = Duration::from_millis(5);

/// Where and how a body ends early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Bytes that still come.
    pub(crate) after: u64,
    /// Whether the connection then closes, short of the promised length; otherwise the shorter length was promised.
    pub(crate) breaks: bool,
}

pub(crate) struct Outgoing {
    inner: s3s::Body,
    /// Bytes left before the cut.
    cut: Option<Cut>,
    rest: Option<Pin<Box<Sleep>>>,
    operation: Operation,
    /// Counts the request as in flight until its body is out.
    flight: Flight,
}

impl Outgoing {
    pub(crate) fn new(
        inner: s3s::Body,
        operation: Operation,
        cut: Option<Cut>,
        flight: Flight,
    ) -> Self {
        Self {
            inner,
            cut,
            rest: None,
            operation,
            flight,
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        if let Some(Cut { after: 0, breaks }) = self.cut {
            if !breaks {
                return Poll::Ready(None);
            }
            ready!(
                self.rest
                    .get_or_insert_with(|| Box::pin(sleep(REST)))
                    .as_mut()
                    .poll(cx)
            );
            return Poll::Ready(Some(Err(io::Error::other(
                "this body is cut short on purpose",
            )
            .into())));
        }
        let Some(frame) = ready!(Pin::new(&mut self.inner).poll_frame(cx)?) else {
            return Poll::Ready(None);
        };
        // Trailers are not used by S3's answers.
        let Ok(mut data) = frame.into_data() else {
            return Poll::Ready(None);
        };
        if let Some(cut) = &mut self.cut {
            let kept = cut.after.min(data.len() as u64);
            data.truncate(kept as usize);
            cut.after -= kept;
        }
        if self.operation == Operation::GetObject {
            self.flight
                .tally()
                .object_bytes_sent
                .fetch_add(data.len() as u64, Relaxed);
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        match self.cut {
            Some(Cut { after: 0, breaks }) => !breaks,
            _ => self.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self.cut {
            Some(Cut {
                after,
                breaks: false,
            }) => SizeHint::with_exact(after),
            _ => self.inner.size_hint(),
        }
    }
}
