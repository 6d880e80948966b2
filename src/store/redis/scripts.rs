//! Scripts: each is one round of Redis, and so one write of its log, and done as a whole or not at all. They are sent once a connection, and
//! again where Redis has forgotten them. What each does stands in its file.
use super::keys::KeyNames;
use crate::store::remote::fault::RemoteFault;
use redis::{
    Cmd, Connection, ConnectionLike, FromRedisValue, RedisResult, ToRedisArgs, Value, cmd, from_redis_value,
};
use std::collections::HashMap;

/// A script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Script {
    Adopt,
    Aside,
    Bequeath,
    Commit,
    Leave,
    Look,
    Move,
    Numbers,
    Page,
    Register,
    Scan,
    Take,
}

macro_rules! text {
    ($file:literal) => {
        concat!(include_str!("common.lua"), include_str!($file))
    };
}

impl Script {
    fn text(self) -> &'static str {
        match self {
            Script::Adopt => text!("adopt.lua"),
            Script::Aside => text!("aside.lua"),
            Script::Bequeath => text!("bequeath.lua"),
            Script::Commit => text!("commit.lua"),
            Script::Leave => text!("leave.lua"),
            Script::Look => text!("look.lua"),
            Script::Move => text!("move.lua"),
            Script::Numbers => text!("numbers.lua"),
            Script::Page => text!("page.lua"),
            Script::Register => text!("register.lua"),
            Script::Scan => text!("scan.lua"),
            Script::Take => text!("take.lua"),
        }
    }
}

/// A connection, and what its scripts are called there.
pub(super) struct RedisLink {
    pub(super) connection: Connection,
    names: HashMap<Script, String>,
}

impl RedisLink {
    pub(super) fn of(connection: Connection) -> RedisLink {
        RedisLink { connection, names: HashMap::new() }
    }

    fn load(&mut self, script: Script) -> Result<String, RemoteFault> {
        Ok(cmd("SCRIPT").arg("LOAD").arg(script.text()).query(&mut self.connection)?)
    }

    fn name(&mut self, script: Script) -> Result<String, RemoteFault> {
        if let Some(name) = self.names.get(&script) {
            return Ok(name.clone());
        }
        let name = self.load(script)?;
        self.names.insert(script, name.clone());
        Ok(name)
    }

    /// The next answer to what was sent.
    fn answer(&mut self) -> RedisResult<Value> {
        loop {
            match self.connection.recv_response()? {
                // Nobody has asked for it.
                Value::Push { .. } => {}
                value => return Ok(value),
            }
        }
    }
}

/// A script with what it is to do.
pub(super) struct ScriptCall {
    script: Script,
    call: Cmd,
}

impl ScriptCall {
    /// For a server with this number; `None` is no server.
    pub(super) fn of(
        link: &mut RedisLink,
        names: &KeyNames,
        script: Script,
        me: Option<i32>,
    ) -> Result<ScriptCall, RemoteFault> {
        let mut call = cmd("EVALSHA");
        call.arg(link.name(script)?).arg(1).arg(&names.base).arg(me.unwrap_or(0));
        Ok(ScriptCall { script, call })
    }

    /// Appends an argument, or several.
    pub(super) fn arg(&mut self, argument: impl ToRedisArgs) -> &mut ScriptCall {
        self.call.arg(argument);
        self
    }

    /// Appends how many there are, and each.
    pub(super) fn list<T: ToRedisArgs>(&mut self, list: &[T]) -> &mut ScriptCall {
        self.call.arg(list.len());
        list.iter().for_each(|one| _ = self.call.arg(one));
        self
    }

    /// Has it done.
    pub(super) fn run<T: FromRedisValue>(&self, link: &mut RedisLink) -> Result<T, RemoteFault> {
        match self.call.query(&mut link.connection as &mut dyn ConnectionLike) {
            // Forgotten: by SCRIPT FLUSH, for instance.
            Err(error) if error.code() == Some("NOSCRIPT") => {
                link.load(self.script)?;
                Ok(self.call.query(&mut link.connection)?)
            }
            done => Ok(done?),
        }
    }

    /// Has several done, of which each is sent before the one in front is answered, so that Redis does one while the answer of another is
    /// looked at. Behind one that fails, no answer is.
    pub(super) fn run_each<T: FromRedisValue>(
        calls: &[ScriptCall],
        link: &mut RedisLink,
        mut answer: impl FnMut(T) -> Result<(), RemoteFault>,
    ) -> Result<(), RemoteFault> {
        let mut done = Ok(());
        let packed: Vec<u8> = calls.iter().flat_map(|call| call.call.get_packed_command()).collect();
        link.connection.send_packed_command(&packed)?;
        let mut again = calls.len();
        for at in 0..calls.len() {
            // Without this one there is no telling whose answer the next would be: whoever has this fault, connects again.
            let value = link.answer()?;
            if again < calls.len() {
                continue;
            }
            match value.extract_error() {
                Err(error) if error.code() == Some("NOSCRIPT") => again = at,
                // All of them are to be received, whatever becomes of one.
                value if done.is_ok() => {
                    done = value
                        .and_then(|value| Ok(from_redis_value(value)?))
                        .map_err(RemoteFault::from)
                        .and_then(&mut answer);
                }
                _ => {}
            }
        }
        done?;
        calls[again..].iter().try_for_each(|call| answer(call.run(link)?))
    }
}
