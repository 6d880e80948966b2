//! The table of all commands. The header that every packet begins with is `header.rs`; what the data after it holds is read
//! in `request/mod.rs` and `response/mod.rs`.

/// The most bytes of one argument on the wire, its NUL included if it has one. gearmand 1.1.20: an
/// argument must fit its 8192-byte receive buffer, so the function of CAN_DO (no NUL) may have 8192
/// bytes and that of SUBMIT_JOB (with NUL) 8191. Payloads are not arguments and have no such bound.
pub const ARGUMENT_MAX: usize = 8192;

/// Who sends a command in the first place. The job server forwards some of the workers' commands to
/// clients (WORK_DATA and its kin); the table names the worker. Nothing is enforced: gearmand 1.1.20 has
/// no roles, any connection may send any request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sender {
    /// Clients: those who submit jobs or ask about them.
    Client,
    /// Workers: those who take jobs and report on them.
    Worker,
    /// The job server.
    Server,
    /// Clients and workers alike.
    Any,
    /// Nobody: a number that was never given out.
    Nobody,
}

/// What the job server does with a command that it receives as a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Handling {
    /// Carried out: [`Request::decode`](crate::Request::decode) gives a request.
    Handled,
    /// Answered ERROR `INVALID_COMMAND`, and the connection goes on.
    Refused,
}

/// Declares [`PacketType`] from one row per command:
/// `number Variant "NAME" Sender Handling [arguments] payload;`, a payload of `-` meaning none.
macro_rules! packet_types {
    ($($number:literal $variant:ident $name:literal $sender:ident $handling:ident
        [$($argument:ident),*] $payload:tt;)+) => {
        /// A command that the protocol knows: 1 to 42 as in gearmand 1.1.20, and MASS_DO.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum PacketType {
            $(#[doc = concat!($name, ", command ", $number, ".")] $variant = $number,)+
        }

        impl PacketType {
            /// Every command, by rising number.
            pub const ALL: &'static [PacketType] = &[$(PacketType::$variant),+];

            /// The command of this number, `None` for 0 and for numbers that the protocol does not know.
            #[inline]
            pub const fn from_number(number: u32) -> Option<PacketType> {
                match number {
                    $($number => Some(PacketType::$variant),)+
                    _ => None,
                }
            }

            const fn row(self) -> CommandRow {
                match self {
                    $(PacketType::$variant => CommandRow {
                        name: $name,
                        sender: Sender::$sender,
                        handling: Handling::$handling,
                        arguments: &[$(stringify!($argument)),*],
                        payload: packet_types!(@payload $payload),
                    },)+
                }
            }
        }
    };
    (@payload -) => { None };
    (@payload $payload:ident) => { Some(stringify!($payload)) };
}

/// One row of the table.
struct CommandRow {
    name: &'static str,
    sender: Sender,
    handling: Handling,
    arguments: &'static [&'static str],
    payload: Option<&'static str>,
}

// Numbers, names and argument counts are those of gearmand 1.1.20. Where its PROTOCOL document
// differs the server wins: the document gives the reduce forms three arguments, the server wants four
// and ignores the last; the document starts STATUS_RES_UNIQUE with a handle, the server with the unique.
//
// MASS_DO comes from OpenStack's Zuul, whose job server (built on the Python package gear) takes it as
// "these are all my functions now"; its launcher joins the names with NUL.
packet_types! {
    1   CanDo                     "CAN_DO"                       Worker Handled [function] -;
    2   CantDo                    "CANT_DO"                      Worker Handled [function] -;
    3   ResetAbilities            "RESET_ABILITIES"              Worker Handled [] -;
    4   PreSleep                  "PRE_SLEEP"                    Worker Handled [] -;
    5   Unused                    "UNUSED"                       Nobody Refused [] -;
    6   Noop                      "NOOP"                         Server Refused [] -;
    7   SubmitJob                 "SUBMIT_JOB"                   Client Handled [function, unique] workload;
    8   JobCreated                "JOB_CREATED"                  Server Refused [handle] -;
    9   GrabJob                   "GRAB_JOB"                     Worker Handled [] -;
    10  NoJob                     "NO_JOB"                       Server Refused [] -;
    11  JobAssign                 "JOB_ASSIGN"                   Server Refused [handle, function] workload;
    12  WorkStatus                "WORK_STATUS"                  Worker Handled [handle, numerator, denominator] -;
    13  WorkComplete              "WORK_COMPLETE"                Worker Handled [handle] result;
    14  WorkFail                  "WORK_FAIL"                    Worker Handled [handle] -;
    15  GetStatus                 "GET_STATUS"                   Client Handled [handle] -;
    16  EchoReq                   "ECHO_REQ"                     Any    Handled [] data;
    17  EchoRes                   "ECHO_RES"                     Server Refused [] data;
    18  SubmitJobBg               "SUBMIT_JOB_BG"                Client Handled [function, unique] workload;
    19  Error                     "ERROR"                        Server Refused [code, text] -;
    20  StatusRes                 "STATUS_RES"                   Server Refused [handle, known, running, numerator, denominator] -;
    21  SubmitJobHigh             "SUBMIT_JOB_HIGH"              Client Handled [function, unique] workload;
    22  SetClientId               "SET_CLIENT_ID"                Worker Handled [id] -;
    23  CanDoTimeout              "CAN_DO_TIMEOUT"               Worker Handled [function, timeout] -;
    24  AllYours                  "ALL_YOURS"                    Worker Refused [] -;
    25  WorkException             "WORK_EXCEPTION"               Worker Handled [handle] exception;
    26  OptionReq                 "OPTION_REQ"                   Any    Handled [option] -;
    27  OptionRes                 "OPTION_RES"                   Server Refused [option] -;
    28  WorkData                  "WORK_DATA"                    Worker Handled [handle] data;
    29  WorkWarning               "WORK_WARNING"                 Worker Handled [handle] data;
    30  GrabJobUniq               "GRAB_JOB_UNIQ"                Worker Handled [] -;
    31  JobAssignUniq             "JOB_ASSIGN_UNIQ"              Server Refused [handle, function, unique] workload;
    32  SubmitJobHighBg           "SUBMIT_JOB_HIGH_BG"           Client Handled [function, unique] workload;
    33  SubmitJobLow              "SUBMIT_JOB_LOW"               Client Handled [function, unique] workload;
    34  SubmitJobLowBg            "SUBMIT_JOB_LOW_BG"            Client Handled [function, unique] workload;
    35  SubmitJobSched            "SUBMIT_JOB_SCHED"             Client Refused [function, unique, minute, hour, day, month, weekday] workload;
    36  SubmitJobEpoch            "SUBMIT_JOB_EPOCH"             Client Handled [function, unique, epoch] workload;
    37  SubmitReduceJob           "SUBMIT_REDUCE_JOB"            Client Handled [function, unique, reducer, unused] workload;
    38  SubmitReduceJobBackground "SUBMIT_REDUCE_JOB_BACKGROUND" Client Handled [function, unique, reducer, unused] workload;
    39  GrabJobAll                "GRAB_JOB_ALL"                 Worker Handled [] -;
    40  JobAssignAll              "JOB_ASSIGN_ALL"               Server Refused [handle, function, unique, reducer] workload;
    41  GetStatusUnique           "GET_STATUS_UNIQUE"            Client Handled [unique] -;
    42  StatusResUnique           "STATUS_RES_UNIQUE"            Server Refused [unique, known, running, numerator, denominator, clients] -;
    101 MassDo                    "MASS_DO"                      Worker Handled [] functions;
}

impl PacketType {
    /// The number on the wire.
    #[inline]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The name as the protocol prints it, such as `SUBMIT_JOB`.
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// Who sends it.
    pub const fn sender(self) -> Sender {
        self.row().sender
    }

    /// What the job server does with it as a request.
    pub const fn handling(self) -> Handling {
        self.row().handling
    }

    /// The names of its arguments in order, without the payload.
    pub const fn arguments(self) -> &'static [&'static str] {
        self.row().arguments
    }

    /// The name of its payload, `None` where it has none.
    pub const fn payload(self) -> Option<&'static str> {
        self.row().payload
    }

    /// True where a payload follows the arguments, so that every argument ends with a NUL.
    pub const fn has_payload(self) -> bool {
        self.row().payload.is_some()
    }

    /// The most bytes of data that a well-formed packet of this command can have, `None` where only the
    /// length field bounds it: with a payload, and without arguments (then the data is ignored).
    pub const fn data_max(self) -> Option<u32> {
        let row = self.row();
        if row.payload.is_some() || row.arguments.is_empty() {
            return None;
        }
        Some((row.arguments.len() * ARGUMENT_MAX) as u32)
    }
}

/// The first four bytes of a packet: its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Magic {
    /// `\0REQ`: to the job server.
    Request,
    /// `\0RES`: from the job server.
    Response,
}

impl Magic {
    /// The bytes on the wire.
    #[inline]
    pub const fn bytes(self) -> [u8; 4] {
        match self {
            Magic::Request => *b"\0REQ",
            Magic::Response => *b"\0RES",
        }
    }

    /// The magic that these bytes spell, if any.
    #[inline]
    pub const fn from_bytes(bytes: [u8; 4]) -> Option<Magic> {
        match &bytes {
            b"\0REQ" => Some(Magic::Request),
            b"\0RES" => Some(Magic::Response),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    #[test]
    fn numbers_are_unique_and_rise() {
        let numbers: Vec<u32> = PacketType::ALL.iter().map(|command| command.number()).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b));
        let expected: Vec<u32> = (1..=42).chain([101]).collect();
        assert_eq!(numbers, expected);
    }

    #[test]
    fn numbers_and_commands_are_one_to_one() {
        for &command in PacketType::ALL {
            assert_eq!(PacketType::from_number(command.number()), Some(command));
        }
        for number in [0, 43, 100, 102, 257, u32::MAX] {
            assert_eq!(PacketType::from_number(number), None);
        }
    }

    #[test]
    fn names_are_the_protocols() {
        let names: BTreeSet<&str> = PacketType::ALL.iter().map(|command| command.name()).collect();
        assert_eq!(names.len(), PacketType::ALL.len());
        for &command in PacketType::ALL {
            // CAN_DO_TIMEOUT is CanDoTimeout, so that prose and code can be searched for each other.
            let variant = std::format!("{command:?}").to_uppercase();
            assert_eq!(command.name().replace('_', ""), variant);
        }
    }

    #[test]
    fn the_server_refuses_what_it_sends_and_three_more() {
        let refused: Vec<u32> = PacketType::ALL
            .iter()
            .filter(|command| command.handling() == Handling::Refused)
            .map(|command| command.number())
            .collect();
        assert_eq!(refused, [5, 6, 8, 10, 11, 17, 19, 20, 24, 27, 31, 35, 40, 42]);
        for &command in PacketType::ALL {
            if command.sender() == Sender::Server {
                assert_eq!(command.handling(), Handling::Refused, "{}", command.name());
            }
        }
    }

    #[test]
    fn arguments_of_the_irregular_commands() {
        assert_eq!(PacketType::SubmitReduceJob.arguments().len(), 4);
        assert_eq!(PacketType::SubmitJobSched.arguments().len(), 7);
        assert_eq!(PacketType::StatusResUnique.arguments()[0], "unique");
        assert_eq!(PacketType::MassDo.payload(), Some("functions"));
        assert!(!PacketType::Error.has_payload());
    }

    #[test]
    fn data_is_bounded_where_there_are_only_arguments() {
        assert_eq!(PacketType::CanDo.data_max(), Some(8192));
        assert_eq!(PacketType::CanDoTimeout.data_max(), Some(2 * 8192));
        assert_eq!(PacketType::GrabJob.data_max(), None);
        assert_eq!(PacketType::SubmitJob.data_max(), None);
    }
}
