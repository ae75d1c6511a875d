//! Between the store's values, rows and errors and those of the driver.
//!
//! Nothing is asked of a database here.

use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, ToSql, Type};

use deadpool_postgres::PoolError;

use crate::database::{Columns, Value};
use crate::types::{Error, Result};

impl Value {
    pub(super) fn as_parameter(&self) -> &(dyn ToSql + Sync) {
        match self {
            Value::Int(number) => number,
            Value::Text(text) => text,
            Value::Bytes(bytes) => bytes,
            Value::Ints(numbers) => numbers,
            Value::Texts(texts) => texts,
        }
    }
}

impl Columns for Row {
    fn is_null(&self, at: usize) -> Result<bool> {
        Ok(self.try_get::<_, IsNull>(at)?.0)
    }

    fn int(&self, at: usize) -> Result<i64> {
        Ok(self.try_get(at)?)
    }

    fn flag(&self, at: usize) -> Result<bool> {
        Ok(self.try_get(at)?)
    }

    fn text(&self, at: usize) -> Result<String> {
        Ok(self.try_get(at)?)
    }

    fn bytes(&self, at: usize) -> Result<Vec<u8>> {
        Ok(self.try_get(at)?)
    }
}

/// Whether a column of any type is null.
struct IsNull(bool);

impl<'a> FromSql<'a> for IsNull {
    fn from_sql(_: &Type, _: &'a [u8]) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        Ok(IsNull(false))
    }

    fn from_sql_null(_: &Type) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        Ok(IsNull(true))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl From<PoolError> for Error {
    fn from(error: PoolError) -> Error {
        match error {
            PoolError::Backend(error) => error.into(),
            PoolError::Timeout(_) => Error::Unavailable("no connection became free".to_owned()),
            other => Error::Unavailable(other.to_string()),
        }
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Error {
        let message = with_source(&error);
        let Some(code) = error.code() else {
            // Without a code it is the connection that failed, or a value that did not fit.
            let lost = error.is_closed() || is_io(&error);
            return if lost { Error::Unavailable(message) } else { Error::Other(message) };
        };
        let passing = [
            SqlState::QUERY_CANCELED,
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::TOO_MANY_CONNECTIONS,
            SqlState::OUT_OF_MEMORY,
            SqlState::READ_ONLY_SQL_TRANSACTION,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        ];
        match code {
            code if *code == SqlState::DISK_FULL => Error::Full,
            // Class 08: the connection.
            code if passing.contains(code) || code.code().starts_with("08") => {
                Error::Unavailable(message)
            }
            _ => Error::Other(message),
        }
    }
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if inner.is::<std::io::Error>() {
            return true;
        }
        source = inner.source();
    }
    false
}

/// What happened, which the driver keeps below its own words.
fn with_source(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(said), _) => format!("{} ({})", said.message(), said.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}
