//! The page where a browser shows a token once, and has a cookie for it from then on. Who has which is in `guard.rs`.
use super::answer::{HTML, HttpAnswer};
use super::bodies::{self, FORM};
use super::bounds::FORM_BYTES;
use super::desk::Desk;
use super::guard::{Arrival, Stranger};
use super::logins::LIFE;
use super::roles::HttpCaller;
use super::target;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap};
use hyper::{Request, StatusCode};
use maud::{DOCTYPE, html};

/// The page; with what was wrong, if something was.
pub(super) fn page(desk: &Desk, wrong: Option<&str>) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Log in: Ringgear" }
                link rel="stylesheet" href="/style.css";
            }
            body {
                header { h1 { "Ringgear" } }
                main {
                    h2 { "Log in" }
                    @if let Some(wrong) = wrong { p class="bad" role="alert" { (wrong) } }
                    @if desk.guard.has_tokens() {
                        form method="post" action="/login" {
                            p {
                                label for="token" { "Token" } " "
                                input id="token" name="token" type="password" autocomplete="current-password" required autofocus;
                                " " button { "Log in" }
                            }
                        }
                        p { "A token is made with " code { "ringgear token new NAME --role read" } "; its line belongs into the file that "
                            code { "--control-tokens" } " names." }
                    } @else {
                        p { "This server has no tokens (" code { "--control-tokens" } "): nobody needs to log in, and nothing can be \
                             changed from a browser." }
                    }
                }
            }
        }
    }
    .into_string()
}

/// Somebody brings a token.
pub(super) async fn enter(desk: &Desk, request: Request<Incoming>, arrival: &Arrival) -> HttpAnswer {
    let refused = |status, said: &str| HttpAnswer::of(status, HTML, page(desk, Some(said)));
    if !bodies::is_kind(request.headers(), FORM) {
        return HttpAnswer::error(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            &format!("send the token as {FORM}, as the form does"),
        );
    }
    let body = match bodies::collect(&desk.bodies, request.into_body(), FORM_BYTES).await {
        Ok(body) => body,
        Err(fault) => return fault.answer(),
    };
    let text = String::from_utf8_lossy(&body.bytes);
    let token = text.split('&').find_map(|pair| pair.strip_prefix("token="));
    let Some(Ok(token)) = token.map(|token| target::decode(token, true)) else {
        return refused(StatusCode::BAD_REQUEST, "There was no token in the form.");
    };
    match desk.guard.log_in(token.trim_ascii(), arrival) {
        Ok((id, caller)) => {
            desk.audit.record(&caller, "log in", "done");
            let life = LIFE.as_secs();
            let (name, more) = arrival.cookie();
            let cookie = format!("{name}={id}; Path=/; HttpOnly; SameSite=Strict; Max-Age={life}{more}");
            HttpAnswer::elsewhere("/").with(header::SET_COOKIE, &cookie)
        }
        Err(Stranger::Unknown) => refused(StatusCode::UNAUTHORIZED, "This is no token of this server."),
        Err(Stranger::TooMany(seconds)) => {
            let said = format!("Too many tokens were wrong: wait {seconds} seconds.");
            refused(StatusCode::TOO_MANY_REQUESTS, &said).with(header::RETRY_AFTER, &seconds.to_string())
        }
    }
}

/// Somebody goes.
pub(super) fn leave(desk: &Desk, headers: &HeaderMap, caller: &HttpCaller, arrival: &Arrival) -> HttpAnswer {
    desk.guard.log_out(arrival, headers);
    desk.audit.record(caller, "log out", "done");
    let (name, more) = arrival.cookie();
    let cookie = format!("{name}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0{more}");
    HttpAnswer::elsewhere("/login").with(header::SET_COOKIE, &cookie)
}
