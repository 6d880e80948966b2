//! What a certificate says of its owner, and until when it is good. Whether it is to be believed, the library of TLS has verified before, or it is
//! our own.
use crate::engine::CertificateNames;
use std::time::{SystemTime, UNIX_EPOCH};
use x509_cert::Certificate;
use x509_cert::der::asn1::{
    Ia5StringRef, ObjectIdentifier, PrintableStringRef, TeletexStringRef, Utf8StringRef,
};
use x509_cert::der::{Any, Decode};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::time::Time;

/// commonName.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// When a certificate is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    /// Seconds since 1970.
    pub(super) until: u64,
    /// The same, as it is written.
    pub(super) until_text: String,
    /// From when on, if it is not good yet.
    pub(super) not_before: Option<String>,
    /// Whether it is not good any more.
    pub(super) is_over: bool,
}

/// When a certificate is good, looked at now. An error is what is wrong with it.
pub(super) fn validity(der: &[u8], now: SystemTime) -> Result<Validity, String> {
    let certificate = Certificate::from_der(der).map_err(|error| error.to_string())?;
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let x509_cert::time::Validity { not_before, not_after } = certificate.tbs_certificate.validity;
    Ok(Validity {
        until: not_after.to_unix_duration().as_secs(),
        until_text: text_of(&not_after),
        not_before: (not_before.to_unix_duration() > now).then(|| text_of(&not_before)),
        is_over: not_after.to_unix_duration() < now,
    })
}

/// As in "2031-05-06T07:08:09Z".
fn text_of(time: &Time) -> String {
    time.to_date_time().to_string()
}

/// The names in a certificate. Of one that is written in a way that cannot be read there are none: nobody gets a right by it.
pub(super) fn names(der: &[u8]) -> CertificateNames {
    let Ok(certificate) = Certificate::from_der(der) else { return CertificateNames::default() };
    let subject = &certificate.tbs_certificate.subject;
    let attributes = subject.0.iter().flat_map(|relative| relative.0.iter());
    // A last one that cannot be read is not stood in for by one before.
    let last = attributes.rev().find(|attribute| attribute.oid == COMMON_NAME);
    let common_name = last.and_then(|attribute| text(&attribute.value)).map(String::into_boxed_str);
    let alternatives = certificate.tbs_certificate.get::<SubjectAltName>().ok().flatten();
    let dns_names = alternatives.iter().flat_map(|(_, names)| &names.0).filter_map(|name| match name {
        GeneralName::DnsName(name) => Some(name.as_str().into()),
        _ => None,
    });
    CertificateNames { common_name, dns_names: dns_names.collect() }
}

/// A string of one of the kinds that names are written in.
fn text(value: &Any) -> Option<String> {
    let utf8 = Utf8StringRef::try_from(value).ok().map(|text| text.as_str().to_owned());
    let printable = || PrintableStringRef::try_from(value).ok().map(|text| text.as_str().to_owned());
    let ascii = || Ia5StringRef::try_from(value).ok().map(|text| text.as_str().to_owned());
    let teletex = || TeletexStringRef::try_from(value).ok().map(|text| text.as_str().to_owned());
    utf8.or_else(printable).or_else(ascii).or_else(teletex)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::testing;
    use std::time::Duration;

    #[test]
    fn the_last_common_name_and_all_dns_names() {
        let names = names(&testing::client_der());
        assert_eq!(names.common_name.as_deref(), Some("worker.example"));
        let dns: Vec<&str> = names.dns_names.iter().map(|name| &**name).collect();
        assert_eq!(dns, ["one.example", "*.two.example"]);
    }

    #[test]
    fn bytes_that_are_no_certificate_have_no_names() {
        let der = testing::client_der();
        for end in 0..der.len() {
            assert_eq!(names(&der[..end]), CertificateNames::default(), "{end}");
        }
        for at in 0..der.len() {
            let mut changed = der.clone();
            changed[at] ^= 0x41;
            names(&changed);
            let _ = validity(&changed, SystemTime::now());
        }
    }

    #[test]
    fn when_a_certificate_is_good() {
        let der = testing::server_der();
        let good = validity(&der, SystemTime::now()).unwrap();
        assert!(!good.is_over && good.not_before.is_none(), "{good:?}");
        let after = UNIX_EPOCH + Duration::from_secs(good.until + 1);
        assert!(validity(&der, after).unwrap().is_over);
        assert!(validity(&der, UNIX_EPOCH).unwrap().not_before.is_some());
    }
}
