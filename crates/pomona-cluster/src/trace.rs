//! Which trace does a job belong to?
//!
//! A client that is being traced tells, as a setting of its jobs, which span of its own they belong to. The scheduler gives
//! a job's settings to its tasks, so that what the scheduler and the executors tell of them can be put below that span.

use std::any::Any;

use ballista_core::serde::protobuf::KeyValuePair;
use datafusion::common::config::{ConfigEntry, ConfigExtension, ExtensionOptions};
use datafusion::common::{DataFusionError, plan_err};
use datafusion::prelude::SessionConfig;

/// The setting's name, within [`ConfigExtension::PREFIX`].
const NAME: &str = "traceparent";
/// The setting's whole name.
const KEY: &str = "pomona.traceparent";
/// Bytes of the longest that is taken: version 00 has 55, and those to come may have more.
const LONGEST: usize = 256;

/// The identity of a span in the form of the header `traceparent`, <https://www.w3.org/TR/trace-context/>.
pub type TraceParent = String;

/// The setting.
#[derive(Debug, Clone, Default)]
struct TraceOptions {
    parent: Option<TraceParent>,
}

impl ConfigExtension for TraceOptions {
    const PREFIX: &'static str = "pomona";
}

impl ExtensionOptions for TraceOptions {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), DataFusionError> {
        if key != NAME {
            return plan_err!("there is no setting pomona.{key}");
        }
        if value.len() > LONGEST || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return plan_err!("{KEY} is at most {LONGEST} printable characters");
        }
        self.parent = Some(value.to_owned());
        Ok(())
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        // A setting without a value would be read by nobody.
        let entry = |value: &TraceParent| ConfigEntry {
            key: KEY.to_owned(),
            value: Some(value.clone()),
            description: "The span that the job belongs to.",
        };
        self.parent.iter().map(entry).collect()
    }
}

/// Lets sessions have the setting.
pub(crate) fn with_trace(config: SessionConfig) -> SessionConfig {
    config.with_option_extension(TraceOptions::default())
}

/// The setting as a client sends it.
pub(crate) fn setting(parent: TraceParent) -> KeyValuePair {
    KeyValuePair {
        key: KEY.to_owned(),
        value: Some(parent),
    }
}

/// What a job's session says.
pub(crate) fn of_session(config: &SessionConfig) -> Option<&str> {
    let options = config.options().extensions.get::<TraceOptions>()?;
    options.parent.as_deref()
}

/// What a task's settings say.
pub(crate) fn of_task(settings: &[KeyValuePair]) -> Option<&str> {
    let own = settings.iter().find(|setting| setting.key == KEY)?;
    own.value.as_deref().filter(|value| value.len() <= LONGEST)
}

#[cfg(test)]
mod tests {
    use ballista_core::extension::SessionConfigHelperExt;

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn goes_from_a_job_to_its_tasks() {
        let session =
            with_trace(SessionConfig::new()).update_from_key_value_pair(&[setting(PARENT.into())]);
        assert_eq!(of_session(&session), Some(PARENT));
        assert_eq!(of_task(&session.to_key_value_pairs()), Some(PARENT));
    }

    #[test]
    fn is_not_there_unless_told() {
        let session = with_trace(SessionConfig::new());
        assert_eq!(of_session(&session), None);
        assert_eq!(of_task(&session.to_key_value_pairs()), None);
        // One of a process without the setting.
        assert_eq!(of_session(&SessionConfig::new()), None);
    }

    #[test]
    fn what_cannot_be_one_is_left_out() {
        for bad in ["a\nb".to_owned(), "7".repeat(LONGEST + 1)] {
            let session =
                with_trace(SessionConfig::new()).update_from_key_value_pair(&[setting(bad)]);
            assert_eq!(of_session(&session), None);
        }
    }
}
