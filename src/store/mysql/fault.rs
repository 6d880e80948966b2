//! What the driver and the server say, as what it means to us.
use crate::store::remote::fault::{RemoteFault, RemoteTrouble};
use mysql::{DriverError, Error};

/// Codes of the server: who we are, or what we may.
const REFUSED: &[u16] =
    &[1044, 1045, 1049, 1129, 1130, 1142, 1143, 1227, 1251, 1370, 1698, 1820, 1862, 3118, 3955, 4151];
/// It goes down, or is not ready, or cannot be written to now: a replica, or a node without its cluster.
const AWAY: &[u16] = &[
    1040, 1047, 1053, 1077, 1079, 1152, 1158, 1159, 1160, 1161, 1203, 1226, 1290, 1317, 1792, 1836, 1927,
    3024, 3032, 3168, 3169, 4031,
];
const FULL: &[u16] = &[1021, 1037, 1038, 1041, 1114, 1135];
/// What is wrong with a value, a rule that a row breaks, what a trigger says, what is too much for a packet.
const UNFIT: &[u16] = &[
    1048, 1062, 1118, 1153, 1264, 1265, 1292, 1300, 1301, 1364, 1366, 1406, 1411, 1452, 1526, 1644, 1690,
    3819, 3988, 4025,
];
/// Deadlocks, and locks that were waited for in vain.
const IN_THE_WAY: &[u16] = &[1205, 1213, 1020, 3101, 3572];
/// A statement names what is not there.
pub(super) const NO_RIGHTS: &[u16] = &[1044, 1142, 1143, 1227];

impl From<Error> for RemoteFault {
    fn from(error: Error) -> RemoteFault {
        let trouble = match &error {
            Error::MySqlError(said) => trouble_of(said.code),
            Error::IoError(_) | Error::CodecError(_) => RemoteTrouble::Away,
            Error::DriverError(said) => match said {
                DriverError::UnknownAuthPlugin(_)
                | DriverError::OldMysqlPasswordDisabled
                | DriverError::CleartextPluginDisabled
                | DriverError::TlsNotSupported => RemoteTrouble::Refused,
                DriverError::PacketTooLarge => RemoteTrouble::Unfit,
                _ => RemoteTrouble::Away,
            },
            Error::TlsError(_) => RemoteTrouble::Refused,
            Error::UrlError(_) | Error::FromValueError(_) | Error::FromRowError(_) => RemoteTrouble::Other,
        };
        RemoteFault::new(trouble, told(&error))
    }
}

fn trouble_of(code: u16) -> RemoteTrouble {
    match code {
        _ if REFUSED.contains(&code) => RemoteTrouble::Refused,
        _ if AWAY.contains(&code) => RemoteTrouble::Away,
        _ if FULL.contains(&code) => RemoteTrouble::Full,
        _ if UNFIT.contains(&code) => RemoteTrouble::Unfit,
        _ if IN_THE_WAY.contains(&code) => RemoteTrouble::InTheWay,
        _ => RemoteTrouble::Other,
    }
}

/// The code of what the server said, if it said something.
pub(super) fn code(error: &Error) -> Option<u16> {
    match error {
        Error::MySqlError(said) => Some(said.code),
        _ => None,
    }
}

/// The words, without those of the driver around them.
pub(super) fn told(error: &Error) -> String {
    match error {
        Error::MySqlError(said) => said.message.clone(),
        Error::IoError(error) => error.to_string(),
        Error::CodecError(error) => error.to_string(),
        Error::DriverError(DriverError::CouldNotConnect(Some((_, what, _)))) => what.clone(),
        Error::DriverError(error) => error.to_string(),
        Error::TlsError(error) => format!("TLS: {error}"),
        Error::UrlError(error) => error.to_string(),
        Error::FromValueError(_) | Error::FromRowError(_) => {
            "a value of another type than expected".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_means_two_things() {
        let all: Vec<u16> = [REFUSED, AWAY, FULL, UNFIT, IN_THE_WAY].concat();
        for code in &all {
            assert_eq!(all.iter().filter(|other| *other == code).count(), 1, "{code}");
        }
        assert!(NO_RIGHTS.iter().all(|code| REFUSED.contains(code)));
    }
}
