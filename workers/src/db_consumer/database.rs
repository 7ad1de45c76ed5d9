//! The database, and waiting for it.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use mongodb::{
    Client, Database,
    bson::doc,
    error::{Error, ErrorKind},
    options::{ClientOptions, ConnectionString},
};
use tokio_util::sync::CancellationToken;

use crate::{
    backoff::Backoff,
    readiness::{Part, Readiness, Reason, Trouble},
    shutdown,
};

/// The collection of the images.
pub const IMAGES: &str = "images";
/// The collection of the answers.
pub const INFERENCES: &str = "inferences";

const URI: &str = "TAILRACE_MONGODB_URI";
/// MongoDB's codes that no time heals: Unauthorized, AuthenticationFailed, CommandNotFound, NotImplemented.
/// Source: <https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml>.
const FOR_EVER: [i32; 4] = [13, 18, 59, 238];
/// How long the driver looks for a server before an operation fails.
const SELECTION_LIMIT: Duration = Duration::from_secs(5);

/// Opens the database that TAILRACE_MONGODB_URI leads to; connects when it is first used. The hosts of a mongodb+srv://
/// are looked up for at most `patience`.
///
/// # Errors
/// When the variable is missing or no connection string. Its value, which may hold a password, is never shown.
pub async fn open(name: &str, patience: Duration) -> anyhow::Result<Database> {
    let uri = std::env::var(URI).with_context(|| {
        format!("{URI} is not set: write the connection string, such as mongodb://host:27017, there")
    })?;
    let Ok(connection) = ConnectionString::parse(&uri) else {
        bail!(
            "{URI} is no connection string: write mongodb:// or mongodb+srv:// with a host, such as mongodb://host:27017"
        );
    };
    let mut options = resolve(&connection, patience).await?;
    options.app_name.get_or_insert_with(|| "tailrace-worker".to_owned());
    options.server_selection_timeout.get_or_insert(SELECTION_LIMIT);
    options.connect_timeout.get_or_insert(SELECTION_LIMIT);
    Ok(Client::with_options(options)?.database(name))
}

async fn resolve(connection: &ConnectionString, patience: Duration) -> anyhow::Result<ClientOptions> {
    let (begun, mut backoff) = (Instant::now(), Backoff::new(Duration::from_millis(200), Duration::from_secs(5)));
    loop {
        let error = match ClientOptions::parse(connection.clone()).await {
            Ok(options) => return Ok(options),
            Err(error) => error,
        };
        let delay = backoff.delay();
        if !matches!(*error.kind, ErrorKind::DnsResolve { .. }) || begun.elapsed() + delay >= patience {
            bail!("{URI} cannot be resolved: check its host name and options");
        }
        tracing::warn!("{URI} cannot be resolved now; it is tried again");
        tokio::time::sleep(delay).await;
    }
}

/// Whether an operation that failed like this may succeed later without anybody's changing anything.
#[must_use]
pub fn can_heal(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::Authentication { .. }
        | ErrorKind::InvalidArgument { .. }
        | ErrorKind::InvalidTlsConfig { .. }
        | ErrorKind::Bson(_) => false,
        ErrorKind::Command(command) => !FOR_EVER.contains(&command.code),
        _ => true,
    }
}

/// Waits until the database answers, for at most `limit`; false when asked to stop meanwhile.
///
/// # Errors
/// When it does not answer in time.
pub async fn wait(
    database: &Database,
    limit: Duration,
    readiness: &Readiness,
    stop: &CancellationToken,
) -> anyhow::Result<bool> {
    let mut outage = Outage::new(limit);
    while !stop.is_cancelled() {
        match database.run_command(doc! {"ping": 1}).await {
            Ok(_) => {
                readiness.fine(Part::Database);
                return Ok(true);
            }
            Err(error) => {
                let reason = error.to_string();
                readiness.trouble(Part::Database, away(&reason));
                shutdown::sleep(stop, outage.delay(&reason)?).await;
            }
        }
    }
    Ok(false)
}

/// What a worker says while the database takes nothing.
#[must_use]
pub fn away(reason: &str) -> Trouble {
    // The kind of the error comes first; what follows differs from attempt to attempt.
    let reason: String = reason.chars().take(200).collect();
    Trouble::new(Reason::DatabaseAway, format!("the database does not take documents: {reason}"))
}

/// A time without the database.
pub struct Outage {
    limit: Duration,
    begun: Option<Instant>,
    backoff: Backoff,
}

impl Outage {
    /// One that may last for `limit`.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        let backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
        Self { limit, begun: None, backoff }
    }

    /// The delay before the next attempt, after one that failed for this reason.
    ///
    /// # Errors
    /// When it lasts for too long.
    pub fn delay(&mut self, reason: &str) -> anyhow::Result<Duration> {
        let lasts = self.begun.get_or_insert_with(Instant::now).elapsed();
        if lasts > self.limit {
            bail!("the database does not take documents for {lasts:.0?}: {reason}");
        }
        tracing::warn!("waiting for the database: {reason}");
        Ok(self.backoff.delay())
    }
}
