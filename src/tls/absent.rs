//! What stands for TLS in a program that is built without it: types without values, so that whoever holds one never gets to use it.
use super::{CertificateProblem, DialOptions, Greeting, TlsError, TlsOptions};
use crate::engine::CertificateNames;
use std::fmt;
use std::io::{Read, Write};

/// There are none.
#[derive(Debug)]
pub(crate) enum NoCertificates {}

impl NoCertificates {
    /// Says that there is no TLS.
    pub(crate) fn load(options: TlsOptions) -> Result<NoCertificates, TlsError> {
        let (option, path) = ("ssl-certificate", options.certificate);
        Err(TlsError { option, path, problem: CertificateProblem::NotBuilt })
    }

    pub(crate) fn reload(&self) -> Result<(), TlsError> {
        match *self {}
    }

    pub(crate) fn expires(&self) -> u64 {
        match *self {}
    }

    pub(crate) fn expiry_text(&self) -> String {
        match *self {}
    }

    pub(crate) fn stream(&self) -> Result<NoTlsStream, NoTlsTrouble> {
        match *self {}
    }

    #[cfg(feature = "http")]
    pub(crate) async fn accept<S>(&self, _: u8, _: S) -> Result<S, Option<NoTlsTrouble>> {
        match *self {}
    }
}

/// There is none.
#[derive(Debug)]
pub(crate) enum NoTlsStream {}

impl NoTlsStream {
    pub(crate) fn greet(&mut self, _: &[u8]) -> Result<Greeting, NoTlsTrouble> {
        match *self {}
    }

    pub(crate) fn open(
        &mut self,
        _: &[u8],
        _: &mut Vec<u8>,
        _: &mut dyn FnMut(&[u8]),
    ) -> Result<(), NoTlsTrouble> {
        match *self {}
    }

    pub(crate) fn seal(&mut self, _: &[u8], _: &mut Vec<u8>) -> Result<(), NoTlsTrouble> {
        match *self {}
    }

    pub(crate) fn farewell(&mut self, _: &mut Vec<u8>) {
        match *self {}
    }

    pub(crate) fn outgoing(&mut self) -> &mut Vec<u8> {
        match *self {}
    }

    pub(crate) fn has_ended(&self) -> bool {
        match *self {}
    }

    pub(crate) fn held(&self) -> usize {
        match *self {}
    }

    pub(crate) fn names(&self) -> Option<CertificateNames> {
        match *self {}
    }
}

/// There is none.
#[derive(Debug)]
pub(crate) enum NoTlsTrouble {}

impl fmt::Display for NoTlsTrouble {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

/// There is none.
#[derive(Clone, Debug)]
pub(crate) enum NoTlsDialer {}

impl NoTlsDialer {
    /// Says that there is no TLS.
    pub(crate) fn load(_: &DialOptions) -> Result<NoTlsDialer, String> {
        Err("this program was built without TLS (the feature tls); build it with, or reach the server by its unix socket".to_owned())
    }

    pub(crate) fn over<S: Read + Write>(&self, _: &str, _: S) -> Result<S, NoTlsTrouble> {
        match *self {}
    }
}
